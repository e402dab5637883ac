"""SlowFast-LLaVA: videos on the weights of LLaVA-1.6, without training; chosen by name.

Facts: apple/ml-slowfast-llava, prompt.py, run_demo.py, cfgs/ (50 frames, ten of them in full width,
all of them as 4 x 4), slowfast_llava/llava/mm_utils.py (`resize`). The checkpoints are LLaVA-1.6's
own, so the family is served only where a user names it: `--family slowfast-llava`.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import llava_next, llava_next_lms
from sensorium.model_adapters.video_prompts import IMAGE_SEQ_34B_V3, IMAGE_SEQ_V3
from sensorium.model_adapters.videos import Video

__all__ = ["SPEC", "YI_34B"]

SPEC = replace(
    llava_next.SPEC,
    name="slowfast-llava",
    title="SlowFast-LLaVA on LLaVA-1.6 Vicuna",
    checkpoints=("liuhaotian/llava-v1.6-vicuna-7b",),
    language_models=llava_next_lms.YI_34B.language_models,
    prompts={"": IMAGE_SEQ_V3},
    video=Video(frames=50, sampling="middles", size="squash", reducer="slow_fast"),
    modalities=("text", "video"),
    limits=(
        "chosen by name (`--family`); up to 4,096 tokens, without the dynamic stretching "
        "that the authors' script switches on beyond; the authors ask one question a video"
    ),
    proof="tests/families/test_slowfast_llava.py",
)
YI_34B = replace(
    SPEC,
    name="slowfast-llava-34b",
    title="SlowFast-LLaVA on LLaVA-1.6 34B",
    checkpoints=("liuhaotian/llava-v1.6-34b",),
    prompts={"": IMAGE_SEQ_34B_V3},
)
