"""ShareGPT4Video: sixteen frames pasted into one picture, of which only the whole is looked at.

Facts: ShareGPT4Omni/ShareGPT4Video, run.py (frames, collage, the sentence before the question; it
hands on the first picture of the tiles alone), llava/conversation.py (`conv_llava_llama_3`).
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import llava_next_lms
from sensorium.model_adapters.spec import LLAVA_WEIGHTS
from sensorium.model_adapters.video_prompts import SHAREGPT4VIDEO
from sensorium.model_adapters.videos import Video

__all__ = ["SPEC"]

SPEC = replace(
    llava_next_lms.LLAMA_3_8B,
    name="sharegpt4video",
    title="ShareGPT4Video",
    checkpoints=("Lin-Chen/sharegpt4video-8b",),
    prompts={"": SHAREGPT4VIDEO},
    aspects={"*": "crop"},
    weights=(("model.image_newline", None), *LLAVA_WEIGHTS),
    video=Video(frames=16, sampling="rounded_middles", size="squash", reducer="collage"),
    modalities=("text", "video"),
    limits=(
        "chosen by name (`--family`), as nothing in a config tells it from LLaVA-NeXT; videos only"
    ),
    proof="tests/families/test_sharegpt4video.py",
)
