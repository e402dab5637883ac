"""LLaVA-NeXT-Interleave: images one after the other, each all features of one square.

Facts: LLaVA-VL/LLaVA-NeXT at d6e32ab, playground/demo/interleave_demo.py. The demo, which
docs/LLaVA-NeXT-Interleave.md names, resizes every image to the tower's square and hands them over
as one tensor, whatever the config says of tiles; so there are neither tiles nor newlines. A video
is 16 frames, as images.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.language_models import QWEN2
from sensorium.model_adapters.prompts import QWEN_1_5
from sensorium.model_adapters.spec import LLAVA_WEIGHTS, FamilySpec, Tower
from sensorium.model_adapters.videos import Video

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="llava-interleave",
    title="LLaVA-NeXT-Interleave",
    checkpoints=(
        "lmms-lab/llava-next-interleave-qwen-0.5b",
        "lmms-lab/llava-next-interleave-qwen-7b",
        "lmms-lab/llava-next-interleave-qwen-7b-dpo",
    ),
    language_models={"LlavaQwenForCausalLM": QWEN2},
    prompts={"": replace(QWEN_1_5, name="interleave", next_image="{image}")},
    # The authors delete the tower's last layer and take what comes out, all of it.
    tower=Tower(kinds=("siglip",), select_layer=-2, keep_class_token=True),
    projectors=("mlp",),
    aspects={"*": "crop"},
    weights=(("model.image_newline", None), *LLAVA_WEIGHTS),
    video=Video(frames=16, sampling="strides"),
    modalities=("text", "image", "video"),
    limits="as the authors' demo reads images, not as their evaluation script (tiles, newlines)",
    proof="tests/families/test_llava_interleave.py",
)
