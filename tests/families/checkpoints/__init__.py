"""A tiny random checkpoint of each family, in the layout its authors publish."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families.checkpoints import (
    bunny,
    convllava,
    deepseek_vl,
    ferret,
    finetunes,
    internvl_chat_v1,
    llava,
    llava_next,
    llava_qwen,
    mantis,
    merged,
    mixes,
    mobilevlm,
    moondream,
    mplug_owl2,
    qwen_vl,
    tinyllava,
    u_llava,
    valley,
    video_chatgpt,
    video_llava,
    vila,
    yi_vl,
    yuren,
)

__all__ = ["BUILDERS"]

# By the checkpoint's name; a builder fills its folder and puts a separate tower beside it.
BUILDERS: dict[str, Callable[[Path], None]] = {
    **llava.BUILDERS,
    **llava_next.BUILDERS,
    **merged.BUILDERS,
    **llava_qwen.BUILDERS,
    **mantis.BUILDERS,
    **finetunes.BUILDERS,
    **ferret.BUILDERS,
    **u_llava.BUILDERS,
    **video_chatgpt.BUILDERS,
    **yuren.BUILDERS,
    **yi_vl.BUILDERS,
    **mobilevlm.BUILDERS,
    **bunny.BUILDERS,
    **convllava.BUILDERS,
    **tinyllava.BUILDERS,
    **deepseek_vl.BUILDERS,
    **qwen_vl.BUILDERS,
    **internvl_chat_v1.BUILDERS,
    **vila.BUILDERS,
    **mixes.BUILDERS,
    **mplug_owl2.BUILDERS,
    **moondream.BUILDERS,
    **valley.BUILDERS,
    **video_llava.BUILDERS,
}
