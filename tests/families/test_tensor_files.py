"""Weight files are listed and read without torch; damaged and missing ones are named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.tensor_files import read_names, scan

torch = pytest.importorskip("torch", reason="an engine extra brings it")


@pytest.fixture
def state() -> dict[str, object]:
    values = torch.arange(6.0).view(2, 3)
    return {"a.weight": values, "a.bias": values[0].half(), "b": torch.nn.Parameter(values)}


def test_torch_files(tmp_path: Path, state: dict[str, object]) -> None:
    torch.save(state, tmp_path / "pytorch_model.bin")
    torch.save({"x": torch.zeros(1)}, tmp_path / "training_args.bin")
    found = scan(tmp_path)
    assert found.files == ("pytorch_model.bin",)
    shapes = {name: tensor.shape for name, tensor in found.tensors.items()}
    assert shapes == {"a.weight": (2, 3), "a.bias": (3,), "b": (2, 3)}
    assert found.tensors["a.bias"].size == 6


def test_sub_folders(tmp_path: Path, state: dict[str, object]) -> None:
    for part in ("llm", "tower"):
        (tmp_path / part).mkdir()
    torch.save(state, tmp_path / "llm" / "pytorch_model.bin")
    found = scan(tmp_path, ("llm", "tower", "projector"))
    assert found.files == ("llm/pytorch_model.bin",)
    assert found.tensors["llm.b"].file == "llm/pytorch_model.bin"
    assert found.missing == ("projector/", "tower/*")
    with pytest.raises(CheckpointError, match="projector/, tower/"):
        found.require_all()


def test_safetensors(tmp_path: Path, state: dict[str, object]) -> None:
    from safetensors.torch import save_file

    save_file({"a": state["a.weight"]}, tmp_path / "model.safetensors")
    torch.save(state, tmp_path / "pytorch_model.bin")
    found = scan(tmp_path)
    assert found.files == ("model.safetensors",)
    assert found.tensors["a"].shape == (2, 3)
    assert found.tensors["a"].size == 24


def test_pth_files_and_old_files_without_names(tmp_path: Path, state: dict[str, object]) -> None:
    path = tmp_path / "model.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert read_names(path) is None
    found = scan(tmp_path)
    assert (found.files, found.complete) == (("model.pth",), False)


def test_the_projector_file_counts_where_the_projector_is_nowhere_else(tmp_path: Path) -> None:
    torch.save({"model.norm.weight": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    torch.save({"model.mm_projector.weight": torch.zeros(2)}, tmp_path / "mm_projector.bin")
    assert scan(tmp_path).files == ("pytorch_model.bin", "mm_projector.bin")
    torch.save({"model.mm_projector.weight": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    assert scan(tmp_path).files == ("pytorch_model.bin",)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "absent.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    torch.save({"a": torch.zeros(2)}, tmp_path / "pytorch_model-00001-of-00002.bin")
    found = scan(tmp_path)
    assert found.missing == ("absent.bin",)
    with pytest.raises(CheckpointError, match=r"absent\.bin"):
        found.require_all()


def test_no_weights_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no weight file"):
        scan(tmp_path).require_all()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("keep", [0.02, 0.6, 0.98])
def test_a_file_cut_off_is_named(tmp_path: Path, name: str, keep: float) -> None:
    from safetensors.torch import save_file

    path = tmp_path / name
    tensors = {f"tensor{number}": torch.zeros(64, 8) for number in range(8)}
    (save_file if name.endswith("s") else torch.save)(tensors, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    if keep < 0.1 and name.endswith(".bin"):
        path.write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=name):
        scan(tmp_path)


def test_a_hostile_pickle_runs_nothing(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return print, ("hostile code ran",)

    torch.save({"a": torch.zeros(2), "b": Hostile()}, tmp_path / "pytorch_model.bin")
    code = "from sensorium.model_adapters.tensor_files import scan; from pathlib import Path\n"
    code += f"print(sorted(scan(Path({str(tmp_path)!r})).tensors)); import sys\n"
    code += "print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split("\n")[:2] == ["['a']", "False"]
