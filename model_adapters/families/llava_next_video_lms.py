"""LLaVA-NeXT-Video on Yi and on Qwen1.5, which reads newlines after the rows of a frame.

Facts: as in `llava_next_video`, and docs/LLaVA-NeXT-Video_0716.md of LLaVA-VL/LLaVA-NeXT.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import llava_next_lms
from sensorium.model_adapters.families.llava_next_video import SPEC
from sensorium.model_adapters.videos import Video

__all__ = ["QWEN", "YI_34B"]

YI_34B = replace(
    SPEC,
    name="llava-next-video-34b",
    title="LLaVA-NeXT-Video 34B on Yi",
    checkpoints=("lmms-lab/LLaVA-NeXT-Video-34B", "lmms-lab/LLaVA-NeXT-Video-34B-DPO"),
    language_models=llava_next_lms.YI_34B.language_models,
    prompts=llava_next_lms.YI_34B.prompts,
    read=None,
)
QWEN = replace(
    SPEC,
    name="llava-next-video-qwen",
    title="LLaVA-NeXT-Video 32B on Qwen1.5",
    checkpoints=("lmms-lab/LLaVA-NeXT-Video-32B-Qwen",),
    language_models=llava_next_lms.QWEN.language_models,
    prompts=llava_next_lms.QWEN.prompts,
    tokenizer=llava_next_lms.QWEN.tokenizer,
    read=None,
    video=Video(frames=32, sampling="per_second", pool="average", newline="grid"),
)
