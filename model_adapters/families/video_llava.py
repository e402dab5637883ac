"""Video-LLaVA: a tower for images and one for videos, and one projector for both.

Facts: PKU-YuanGroup/Video-LLaVA, videollava/serve/cli.py and gradio_web_server.py (images cropped;
images and frames one after the other, then a newline; the demo's `llava_v1`),
videollava/model/llava_arch.py, videollava/model/multimodal_encoder/languagebind/__init__.py (which
hidden states), videollava/train/train.py. The towers' weights were frozen in training, so those
inside the checkpoint are those of LanguageBind's repositories, which the authors' loader opens.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import VIDEO_LLAVA
from sensorium.model_adapters.readers.video_llava import read_video_llava
from sensorium.model_adapters.spec import LLAVA_WEIGHTS, FamilySpec, Tokenizer, Tower
from sensorium.model_adapters.videos import Video

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="video-llava",
    title="Video-LLaVA",
    checkpoints=("LanguageBind/Video-LLaVA-7B",),
    language_models={"LlavaLlamaForCausalLM": LLAMA},
    prompts={"": VIDEO_LLAVA},
    tower=Tower(kinds=("LanguageBindImage", "clip"), key="mm_image_tower"),
    towers={
        "video": Tower(kinds=("LanguageBindVideo",), keep_class_token=True, key="mm_video_tower")
    },
    aspects={"*": "crop"},
    tokenizer=Tokenizer(slow_llama=True),
    generation={"temperature": 0.2},
    video=Video(frames=8, reducer="together"),
    weights=(
        ("model.image_tower.image_tower.", "vision_tower."),
        ("model.video_tower.video_tower.", "video_tower."),
        *LLAVA_WEIGHTS,
    ),
    read=read_video_llava,
    modalities=("text", "image", "video"),
    limits=(
        "8 frames of a video, whatever number is asked for; the authors' transform mirrors one "
        "video in two at random, also when it answers, which is left out; images are cropped as "
        "in the authors' demos, though `image_aspect_ratio` says `pad` and training and some of "
        "their evaluations pad them; not the layout of Hugging Face, which leaves attention "
        "over time out; not TEOChat, which has the image tower alone"
    ),
    proof="tests/families/test_video_llava.py",
)
