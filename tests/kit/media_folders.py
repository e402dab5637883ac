"""Folders for `sensorium bench media`: LLaVA's pictures at their true sizes, all else tiny.

`python -m tests.kit.media_folders FOLDER` writes LLaVA-1.5 and LLaVA-1.6 (anyres) as their authors
lay them out (`llava15`, `llava16`) and as Hugging Face does (`llava15-hf`, `llava16-hf`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["write_media_folders"]

_SIDE, _PATCH = 336, 14
_GRIDS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
# What a prompt of the 2,928 tokens of the largest grid fits into.
_POSITIONS = 4096


def write_media_folders(root: Path) -> None:
    """Write the four folders."""
    from tests.families.checkpoints.llava import BUILDERS as ORIGINAL
    from tests.families.checkpoints.llava_next import BUILDERS as ORIGINAL_NEXT
    from tests.families.native_checkpoints import NATIVE

    _write(root / "llava15", ORIGINAL["llava-v1.5"])
    _write(root / "llava16", ORIGINAL_NEXT["llava-next"])
    _write(root / "llava15-hf", NATIVE["llava"])
    _write(root / "llava16-hf", NATIVE["llava_next"])


def _write(folder: Path, build: Callable[[Path], Any]) -> None:
    from tests.families import tiny

    folder.mkdir(parents=True)
    build(folder)
    places = (_SIDE // _PATCH) ** 2 + 1
    for config in (*folder.parent.glob("clip-tiny*/*config.json"), *folder.rglob("*config.json")):
        known = json.loads(config.read_text())
        tiny.write_json(config, _enlarged(known))
    for weights in folder.parent.glob("clip-tiny*/*.bin"):
        _with_places(weights, places)
    for weights in folder.glob("*.safetensors"):
        _with_places(weights, places)


def _enlarged(known: Any) -> Any:
    """A configuration with pictures of 336 pixels and grids of those for tiny ones."""
    if isinstance(known, list):
        return [_enlarged(value) for value in known]
    if not isinstance(known, dict):
        return known
    changed = {name: _enlarged(value) for name, value in known.items()}
    for name in ("image_size", "crop_size", "size"):
        changed[name] = _side(changed[name]) if name in changed else None
    if "image_grid_pinpoints" in changed:
        changed["image_grid_pinpoints"] = _GRIDS
    if changed.get("max_position_embeddings", 0) > 1000:
        changed["max_position_embeddings"] = _POSITIONS
    return {name: value for name, value in changed.items() if name in known}


def _side(size: Any) -> Any:
    if isinstance(size, dict):
        return dict.fromkeys(size, _SIDE)
    return _SIDE if size == 56 else size


def _with_places(file: Path, places: int) -> None:
    """Draw the tower's table of places anew, for more of them."""
    import torch
    from safetensors.torch import load_file, save_file

    from tests.families import tiny

    plain = file.suffix == ".bin"
    state = torch.load(file, weights_only=True) if plain else load_file(file)
    for name, value in state.items():
        if name.endswith("vision_model.embeddings.position_embedding.weight"):
            state[name] = tiny.draw((places, value.shape[1]), 1, 0.02)
        elif name.endswith("vision_model.embeddings.position_ids"):
            state[name] = torch.arange(places).unsqueeze(0)
    if plain:
        torch.save(state, file)
    else:
        save_file(state, file, metadata={"format": "pt"})


if __name__ == "__main__":
    write_media_folders(Path(sys.argv[1]))
