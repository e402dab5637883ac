"""LLaVA-OneVision, and LLaVA-Video and Aquila-VL, which are laid out as it is.

Facts: LLaVA-VL/LLaVA-NeXT, llava/model/llava_arch.py, docs/LLaVA_OneVision_Tutorials.ipynb (one
image in tiles; several padded, each with a newline), docs/LLaVA_Video_1003.md and playground/demo/
video_demo.py (64 frames, the sentence of times). The config says how frames are pooled and where
newlines stand.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.language_models import QWEN2
from sensorium.model_adapters.prompts import QWEN_1_5
from sensorium.model_adapters.spec import FamilySpec, Tower
from sensorium.model_adapters.videos import Video

__all__ = ["SPEC", "VIDEO"]

SPEC = FamilySpec(
    name="llava-onevision",
    title="LLaVA-OneVision, Aquila-VL",
    checkpoints=(
        "lmms-lab/llava-onevision-qwen2-0.5b-si",
        "lmms-lab/llava-onevision-qwen2-0.5b-ov",
        "lmms-lab/llava-onevision-qwen2-7b-si",
        "lmms-lab/llava-onevision-qwen2-7b-ov",
        "lmms-lab/llava-onevision-qwen2-7b-ov-chat",
        "lmms-lab/llava-onevision-qwen2-72b-si",
        "lmms-lab/llava-onevision-qwen2-72b-ov-sft",
        "lmms-lab/llava-onevision-qwen2-72b-ov-chat",
        "BAAI/Aquila-VL-2B-llava-qwen",
    ),
    language_models={"LlavaQwenForCausalLM": QWEN2, "Qwen2ForCausalLM": QWEN2},
    prompts={"": replace(QWEN_1_5, name="onevision", next_image="{image} ")},
    # The authors delete the tower's last layer and take what comes out, all of it.
    tower=Tower(kinds=("siglip",), select_layer=-2, keep_class_token=True),
    projectors=("mlp",),
    aspects={"anyres_max": "anyres"},
    several="pad",
    several_newline=True,
    video=Video(frames=32, pool="bilinear", newline="one_token"),
    modalities=("text", "image", "video"),
    limits="an image is read in tiles only where it is the only one of its conversation",
    proof="tests/families/test_llava_onevision.py",
)
VIDEO = replace(
    SPEC,
    name="llava-video",
    title="LLaVA-Video",
    checkpoints=("lmms-lab/LLaVA-Video-7B-Qwen2", "lmms-lab/LLaVA-Video-72B-Qwen2"),
    language_models={"LlavaQwenForCausalLM": QWEN2},
    video=Video(frames=64, sampling="per_second", pool="average", newline="grid", times=True),
    limits="frames are pooled as the config says (`mm_spatial_pool_mode`), else averaged",
)
