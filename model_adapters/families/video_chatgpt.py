"""Video-ChatGPT: a LLaVA v1.1 whose projector and embeddings were trained for videos.

Facts: mbzuai-oryx/Video-ChatGPT, video_chatgpt/eval/model_utils.py (loading, frames),
video_chatgpt/inference.py (features, the video after the question),
video_chatgpt/train/llava_trainer.py (what the published file holds), docs/offline_demo.md.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.readers.video_chatgpt import TOKENS, read_video_chatgpt
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower
from sensorium.model_adapters.video_prompts import VIDEO_CHATGPT
from sensorium.model_adapters.videos import Video

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="video-chatgpt",
    title="Video-ChatGPT",
    checkpoints=("MBZUAI/Video-ChatGPT-7B (over mmaaz60/LLaVA-7B-Lightening-v1-1)",),
    language_models={"VideoChatGPTLlamaForCausalLM": LLAMA, "LlavaLlamaForCausalLM": LLAMA},
    prompts={"": VIDEO_CHATGPT},
    tower=Tower(select_layer=-2, keep_class_token=False),
    projectors=("linear",),
    tokenizer=Tokenizer(slow_llama=True),
    trained_tokens={"mm_use_vid_start_end": TOKENS},
    generation={"temperature": 0.2},
    video=Video(frames=100, sampling="middles", size="nearest", reducer="means"),
    read=read_video_chatgpt,
    modalities=("text", "video"),
    limits=(
        "videos only, one in the authors' code; the published file is merged while loading: put a "
        "copy of the LLaVA model's config.json beside it and name that model's folder with "
        "`--base-model`; the output rows of the three tokens around a video, which the authors' "
        "loader draws at random, are zero"
    ),
    unconfirmed=(
        "neither the published file nor the LLaVA model's config.json was seen, only the code that "
        "writes and reads them"
    ),
    proof="tests/families/test_video_chatgpt.py",
)
