"""Old language models that do not fit are refused, naming the file and the authors' tensor."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sensorium.model_adapters.errors import CheckpointError
from tests.families.legacy_checkpoints import BUILDERS
from tests.families.proof import family_marks
from tests.families.served import Served

pytestmark = family_marks
State = dict[str, torch.Tensor]
PACKED = "transformer.h.1.attn.c_attn.weight"
UP = "transformer.h.1.mlp.w1.weight"
QUERY = "layers.1.attention.wq.weight"


def copy(folder: Path, name: str, into: Path) -> Path:
    """A copy of a good checkpoint."""
    good = folder / f"legacy-{name}"
    if not good.exists():
        good.mkdir()
        BUILDERS[name](good)
    return Path(shutil.copytree(good, into / "bad"))


def refusal(checkpoint: Path) -> str:
    """The message with which the checkpoint is refused."""
    with pytest.raises(ValueError) as caught:
        Served(checkpoint).close()
    return str(caught.value)


def lose(state: State) -> object:
    return state.pop(PACKED, None)


def lose_up(state: State) -> object:
    return state.pop(UP, None)


def narrow(state: State) -> object:
    return state.update({PACKED: state[PACKED][:-128].clone()}) if PACKED in state else None


def spoil(state: State) -> object:
    return state[PACKED][3].fill_(float("nan")) if PACKED in state else None


def rename(state: State) -> object:
    return state.update({UP.replace("w1", "w3"): state.pop(UP)}) if UP in state else None


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lose, ["1 tensors that the model needs are absent", PACKED, "bad:"]),
        (lose_up, ["1 tensors that the model needs are absent", UP]),
        (narrow, ["model-0000", PACKED, "[256, 128]", "[384, 128]"]),
        (spoil, ["model-0000", PACKED, "128 values", "NaN"]),
        (rename, [UP, "fit nowhere", UP.replace("w1", "w3")]),
    ],
    ids=["a lost matrix", "a lost half", "another shape", "NaN", "another name"],
)
def test_qwen(
    folder: Path, tmp_path: Path, change: Callable[[State], object], wanted: list[str]
) -> None:
    checkpoint = copy(folder, "qwen", tmp_path)
    for path in checkpoint.glob("*.safetensors"):
        state = load_file(path)
        change(state)
        save_file(state, path)
    message = refusal(checkpoint)
    assert [word for word in wanted if word not in message] == []


class TestMeta:
    """Model-parallel files that do not belong together."""

    def join(self, checkpoint: Path, number: int, change: Callable[[State], object]) -> None:
        """Change one of the two files, then read both as the loader does."""
        from sensorium.model_adapters.engine.translator import joined_shards
        from sensorium.model_adapters.language_models import TRANSLATIONS

        path = checkpoint / f"consolidated.{number:02d}.pth"
        state = torch.load(path, weights_only=True)
        change(state)
        torch.save(state, path)
        first = torch.load(checkpoint / "consolidated.00.pth", weights_only=True)
        others = ["consolidated.01.pth"]
        for _ in joined_shards(first.items(), checkpoint, others, TRANSLATIONS["meta-llama"]):
            pass

    def test_a_tensor_lost_from_one_file(self, folder: Path, tmp_path: Path) -> None:
        checkpoint = copy(folder, "meta", tmp_path)
        with pytest.raises(CheckpointError, match=f"consolidated.01.pth: tensor '{QUERY}'"):
            self.join(checkpoint, 1, lambda state: state.pop(QUERY))

    def test_a_tensor_lost_from_the_first_file(self, folder: Path, tmp_path: Path) -> None:
        checkpoint = copy(folder, "meta", tmp_path)
        with pytest.raises(CheckpointError, match=f"'{QUERY}' is absent from the first"):
            self.join(checkpoint, 0, lambda state: state.pop(QUERY))

    def test_shapes_that_do_not_join(self, folder: Path, tmp_path: Path) -> None:
        checkpoint = copy(folder, "meta", tmp_path)
        wanted = rf"'{QUERY}'.*\[64, 128\], \[64, 96\]"
        with pytest.raises(CheckpointError, match=wanted):
            self.join(checkpoint, 1, lambda state: state.update({QUERY: torch.zeros(64, 96)}))

    def test_a_lost_file(self, folder: Path, tmp_path: Path) -> None:
        checkpoint = copy(folder, "meta", tmp_path)
        (checkpoint / "consolidated.01.pth").unlink()
        message = refusal(checkpoint)
        words = ("consolidated.00.pth", "tok_embeddings.weight", "[640, 64]", "[640, 128]")
        assert [word for word in words if word not in message] == []

    def test_a_truncated_file(self, folder: Path, tmp_path: Path) -> None:
        checkpoint = copy(folder, "meta", tmp_path)
        path = checkpoint / "consolidated.01.pth"
        path.write_bytes(path.read_bytes()[:-1000])
        assert str(path) in refusal(checkpoint)
