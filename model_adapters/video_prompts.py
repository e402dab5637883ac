"""Conversation styles that write a sentence of their own about a video.

Facts: apple/ml-slowfast-llava, prompt.py; ShareGPT4Omni/ShareGPT4Video, run.py;
RupertLuo/Valley, valley/model/valley_model.py (`build_inputs`), valley/inference/run_valley.py;
mbzuai-oryx/Video-ChatGPT, video_chatgpt/video_conversation.py, video_chatgpt/inference.py.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.prompt_style import PromptStyle
from sensorium.model_adapters.prompts import LLAMA_3, VICUNA_V1

__all__ = ["IMAGE_SEQ_34B_V3", "IMAGE_SEQ_V3", "SHAREGPT4VIDEO", "VALLEY", "VIDEO_CHATGPT"]

_FRAMES = (
    "The input consists of a sequence of key frames from a video. Answer concisely with overall "
    "content and context of the video, highlighting any significant events, characters, or objects "
    "that appear throughout the video. Question: "
)
IMAGE_SEQ_V3 = PromptStyle(
    name="image_seq_v3",
    system="",
    user="USER: {text} \n",
    assistant="ASSISTANT:\nAnswer: In the video,{text}</s>",
    generation="ASSISTANT:\nAnswer: In the video,",
    video="{video}\n" + _FRAMES,
)
IMAGE_SEQ_34B_V3 = PromptStyle(
    name="image_seq_34b_v3",
    system="Answer the question.",
    system_format="<|im_start|>system\n {system} <|im_end|>\n",
    user="<|im_start|>user\n {text} <|im_end|>\n",
    assistant="<|im_start|>assistant\nAnswer: In the video,{text}<|im_end|>\n",
    generation="<|im_start|>assistant\nAnswer: In the video,",
    video="{video}\n" + _FRAMES,
    stops=("<|im_end|>",),
)
SHAREGPT4VIDEO = replace(
    LLAMA_3,
    name="sharegpt4video",
    strip=False,
    video=(
        "{video}\nThe provided image arranges keyframes from a video in a grid view, "
        "keyframes are separated with white bands. Answer concisely with overall content "
        "and context of the video, highlighting any significant events, characters, or "
        "objects that appear throughout the frames."
    ),
)
# "Assistent" is how the authors' code writes it, and no role stands before the answer.
VALLEY = PromptStyle(
    name="valley",
    system=(
        "You are Valley, a large language and vision assistant trained by ByteDance. "
        "You are able to understand the visual content or video that the user provides, "
        "and assist the user with a variety of tasks using natural language. "
        "Follow the instructions carefully and explain your answers in detail."
    ),
    system_format="{system}\n\n###",
    user=" Human: {text} \n###",
    assistant=" Assistent: {text} \n###",
    generation="",
    image="\n<im_start>{image}<vi_end>",
    images_last=True,
    video="\n<im_start>{video}<vi_end>",
    videos_last=True,
    stops=("###",),
)
# The authors' text lacks a space before "Follow".
VIDEO_CHATGPT = replace(
    VICUNA_V1,
    name="video-chatgpt_v1",
    system=(
        "You are Video-ChatGPT, a large vision-language assistant. "
        "You are able to understand the video content that the user provides, "
        "and assist the user with a variety of tasks using natural language."
        "Follow the instructions carefully and explain your answers in detail based on the "
        "provided video."
    ),
    video="\n<vid_start>{video}<vid_end>",
    videos_last=True,
)
