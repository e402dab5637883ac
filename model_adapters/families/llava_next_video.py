"""LLaVA-NeXT-Video: LLaVA-NeXT fine-tuned on videos, whose frames it pools 2 to 1 along each edge.

Facts: LLaVA-VL/LLaVA-NeXT, playground/demo/video_demo.py and scripts/video/demo/video_demo.sh with
the arguments of docs/LLaVA-NeXT-Video.md and docs/LLaVA-NeXT-Video_0716.md (32 frames, average;
newlines only for 32B-Qwen), llava/model/llava_arch.py (`get_2dPool`). Configs are told from
LLaVA-NeXT's by the pooling that training wrote into them (multimodal_resampler/spatial_pool.py).
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import llava_next, llava_next_lms
from sensorium.model_adapters.registry import architecture_of
from sensorium.model_adapters.spec import RawConfig
from sensorium.model_adapters.videos import Video

__all__ = ["SPEC"]


def _stretch(raw: RawConfig) -> RawConfig:
    """Vicuna reads 4,096 tokens: the demo stretches its positions, and so 32 frames fit."""
    if raw.get("rope_scaling") or architecture_of(raw) != "LlavaLlamaForCausalLM":
        return raw
    return {**raw, "rope_scaling": {"type": "linear", "factor": 2.0}}


SPEC = replace(
    llava_next.SPEC,
    name="llava-next-video",
    title="LLaVA-NeXT-Video on Vicuna and Mistral",
    checkpoints=(
        "lmms-lab/LLaVA-NeXT-Video-7B",
        "lmms-lab/LLaVA-NeXT-Video-7B-DPO",
        "lmms-lab/LLaVA-NeXT-Video-7B-32K",
    ),
    prompts={
        **llava_next.SPEC.prompts,
        "LlavaMistralForCausalLM": llava_next_lms.YI_34B.prompts[""],
    },
    read=_stretch,
    video=Video(frames=32, sampling="per_second", pool="average"),
    modalities=("text", "image", "video"),
    limits="images as LLaVA-NeXT; of a video 32 frames at most, one a second if it is short",
    proof="tests/families/test_llava_next_video.py",
)
