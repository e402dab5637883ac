"""Yi-VL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.families import tiny
from tests.families.checkpoints.base import llava_config, mlp_projector, small_llama

__all__ = ["BUILDERS"]


def yi_vl(folder: Path) -> None:
    """Yi-VL: norms in the projector, the tower in a sub-folder, no BOS."""
    tiny.clip_tower(folder / "vit" / "clip-tiny-448", 31)
    config, state = small_llama(32, key_value_heads=2)
    tiny.save_bin(folder, {**state, **mlp_projector(33, norm=True)})
    changes = {"mm_projector_type": "mlp2x_gelu_Norm"}
    tiny.write_json(folder / "config.json", llava_config(config, "./vit/clip-tiny-448", **changes))
    tiny.llama_tokenizer(folder, legacy=True, bos=False)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "yi-vl": yi_vl,
}
