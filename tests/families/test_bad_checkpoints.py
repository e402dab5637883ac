"""A checkpoint that does not fit is refused before serving, naming the file and the tensor."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.tensor_files import scan
from tests.families.checkpoints import BUILDERS
from tests.families.proof import family_marks
from tests.families.served import Served

pytestmark = family_marks
State = dict[str, torch.Tensor]


@pytest.fixture
def checkpoint(folder: Path, tmp_path: Path) -> Path:
    """A copy of a good checkpoint with its tower inside."""
    good = folder / "llava-inside"
    if not good.exists():
        good.mkdir()
        BUILDERS["llava-inside"](good)
    return Path(shutil.copytree(good, tmp_path / "bad"))


def change_weights(checkpoint: Path, change: Callable[[State], object]) -> None:
    state = load_file(checkpoint / "model.safetensors")
    change(state)
    save_file(state, checkpoint / "model.safetensors")


def change_config(checkpoint: Path, **changes: Any) -> None:
    path = checkpoint / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(checkpoint: Path) -> str:
    """The message with which the checkpoint is refused."""
    with pytest.raises(ValueError) as caught:
        Served(checkpoint).close()
    return str(caught.value)


KEY = "model.layers.1.self_attn.k_proj.weight"


def drop(state: State) -> object:
    return state.pop(KEY)


def widen(state: State) -> object:
    return state.update({KEY: torch.zeros(64 + 32, 128)})


def spoil(state: State) -> object:
    return state[KEY][3].fill_(float("nan"))


def add(state: State) -> object:
    return state.update({"model.extra.weight": torch.zeros(2), "thing": torch.zeros(2)})


def rename(state: State) -> object:
    return state.update({"model.mm_projector.4.weight": state.pop("model.mm_projector.2.weight")})


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (drop, [KEY, "absent", "bad:"]),
        (widen, ["model.safetensors", KEY, "[96, 128]", "[64, 128]"]),
        (spoil, ["model.safetensors", KEY, "128 values", "NaN"]),
        (add, ["model.safetensors", "model.extra.weight", "thing", "fit nowhere"]),
        (rename, ["model.mm_projector.2.weight", "model.mm_projector.4.weight"]),
    ],
    ids=["a lost shard", "another shape", "NaN", "tensors nobody takes", "a misnamed projector"],
)
def test_weights(checkpoint: Path, change: Callable[[State], object], wanted: list[str]) -> None:
    change_weights(checkpoint, change)
    message = refusal(checkpoint)
    assert [word for word in wanted if word not in message] == []


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"hidden_size": 256}, ["model.safetensors", "lm_head.weight", "[640, 256]"]),
        ({"mm_projector_type": "sva"}, ["bad/config.json", "'sva'", "mm_projector_type"]),
        ({"mm_vision_tower": "nowhere/at-all"}, ["nowhere/at-all", "--vision-tower"]),
        ({"num_hidden_layers": 4}, ["model.layers.3."]),
        ({"num_hidden_layers": 2}, ["model.layers.2."]),
    ],
    ids=["hidden size", "projector", "tower", "more layers", "fewer layers"],
)
def test_config(checkpoint: Path, changes: dict[str, Any], wanted: list[str]) -> None:
    change_config(checkpoint, **changes)
    message = refusal(checkpoint)
    assert [word for word in wanted if word not in message] == []


def test_no_tower_weights_anywhere(checkpoint: Path) -> None:
    def keep_none(state: State) -> None:
        for name in [name for name in state if "vision_tower" in name]:
            del state[name]

    change_weights(checkpoint, keep_none)
    message = refusal(checkpoint)
    wanted = (
        "`model.vision_tower.vision_tower.*`",
        str(checkpoint / "clip-tiny-inside"),
        "--vision",
    )
    assert [word for word in wanted if word not in message] == []


def test_a_truncated_file(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    message = refusal(checkpoint)
    assert str(path) in message
    assert "vision_tower" in message
    assert "is not whole" in message


def test_a_missing_shard(checkpoint: Path) -> None:
    state = load_file(checkpoint / "model.safetensors")
    kept, lost = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    (checkpoint / "model.safetensors").unlink()
    places = {name: lost if name == KEY else kept for name in state}
    save_file({name: state[name] for name in state if name != KEY}, checkpoint / kept)
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    message = refusal(checkpoint)
    assert f"{lost} (with 1 tensors, {KEY} and on)" in message
    with pytest.raises(CheckpointError, match=f"{lost} is not a .* 1 tensors, {KEY}"):
        (checkpoint / lost).write_bytes((100).to_bytes(8, "little") + b" " * 100)
        scan(checkpoint)
