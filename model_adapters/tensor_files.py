"""Which files hold a checkpoint's weights, and what is in them, read without torch.

Safetensors files say names and shapes in their header, torch's zip files in a pickle that is read
here with every class replaced by a harmless stand-in. Old torch files without a zip container keep
their names to themselves.
"""

from __future__ import annotations

import collections
import io
import json
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sensorium.model_adapters.errors import CheckpointError

__all__ = [
    "StoredTensor",
    "TensorFiles",
    "read_names",
    "read_torch_structure",
    "scan",
    "whole_name",
]

_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_PATTERNS = ("*.safetensors", "pytorch_model*.bin", "*.bin", "*.pth", "*.pt")
# What trainers leave beside the weights; LLaVA's writes the projector a second time.
_NOT_WEIGHTS = {
    "training_args.bin",
    "optimizer.bin",
    "optimizer.pt",
    "scheduler.bin",
    "scheduler.pt",
    "scaler.pt",
    "trainer_state.bin",
}
_PROJECTOR_FILE = "mm_projector.bin"
# A LoRA as peft and LLaVA's trainer write it: the matrices, and what was trained beside them.
_ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
_BESIDE_ADAPTER = "non_lora_trainables.bin"
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file; shape and bytes are None where only an index speaks of it."""

    file: str
    shape: tuple[int, ...] | None = None
    size: int | None = None


@dataclass(frozen=True)
class TensorFiles:
    """A checkpoint's weight files in reading order, and their tensors by name.

    `complete` is False where names could not all be read, `missing` lists files that an index
    promises and that are not there.
    """

    folder: Path
    files: tuple[str, ...]
    tensors: Mapping[str, StoredTensor]
    complete: bool
    missing: tuple[str, ...]

    def absent(self) -> str:
        """The missing files, each with what should be in it."""
        held = {name: tensor.file for name, tensor in self.tensors.items()}
        return ", ".join(f"{file}{_contents(held, file)}" for file in self.missing)

    def require_all(self) -> None:
        """Raise CheckpointError where weight files are missing or there is none at all."""
        if self.missing:
            raise CheckpointError(
                f"{self.folder}: weights call for {self.absent()}, which "
                f"{'is' if len(self.missing) == 1 else 'are'} not there; fetch the missing "
                "shards again"
            )
        if not self.files:
            raise CheckpointError(
                f"{self.folder} has no weight file (*.safetensors, *.bin or *.pth)"
            )


def scan(folder: Path, parts: tuple[str, ...] = ()) -> TensorFiles:
    """List a folder's weight files and tensors; raises CheckpointError for a damaged file.

    With `parts` the weights lie in sub-folders; tensors are named as by `whole_name`.
    """
    if not parts:
        return _scan(folder)
    found = [(part, _scan(folder / part)) for part in parts if (folder / part).is_dir()]
    absent = [f"{part}/" for part in parts if not (folder / part).is_dir()]
    return TensorFiles(
        folder,
        files=tuple(f"{part}/{file}" for part, inside in found for file in inside.files),
        tensors={
            whole_name(name, f"{part}/"): replace(tensor, file=f"{part}/{tensor.file}")
            for part, inside in found
            for name, tensor in inside.tensors.items()
        },
        complete=not absent and all(inside.complete for _, inside in found),
        missing=(
            *absent,
            *(f"{part}/{file}" for part, inside in found for file in inside.missing),
            *(f"{part}/*" for part, inside in found if not inside.files and not inside.missing),
        ),
    )


def whole_name(name: str, file: str) -> str:
    """A tensor's name with the sub-folder of its file, if it has one, as a prefix."""
    part, separator, _ = file.rpartition("/")
    return f"{part}.{name}" if separator else name


def _scan(folder: Path) -> TensorFiles:
    indexed = _read_index(folder)
    if indexed is not None:
        names = sorted(set(indexed.values()))
        missing = tuple(name for name in names if not (folder / name).is_file())
    else:
        names, missing = _weight_files(folder), ()
    tensors: dict[str, StoredTensor] = {
        name: StoredTensor(file) for name, file in (indexed or {}).items()
    }
    complete = indexed is not None
    present = [name for name in names if name not in missing]
    known = []
    for name in present:
        try:
            found = read_names(folder / name)
        except CheckpointError as error:
            raise CheckpointError(f"{error}{_contents(indexed or {}, name)}") from None
        known.append(found is not None)
        tensors.update(found or {})
    complete = complete or all(known)
    projector = folder / _PROJECTOR_FILE
    if projector.is_file() and not any("mm_projector" in name for name in tensors) and complete:
        present.append(_PROJECTOR_FILE)
        tensors.update(read_names(projector) or {})
    return TensorFiles(folder, tuple(present), tensors, complete, missing)


def _contents(held: Mapping[str, str], file: str) -> str:
    """What an index puts into a file, in parentheses; `held` are files by tensor."""
    names = sorted(name for name, at in held.items() if at == file)
    return f" (with {len(names)} tensors, {names[0]} and on)" if names else ""


def read_names(path: Path) -> dict[str, StoredTensor] | None:
    """Tensors of one weight file, or None for an old torch file; CheckpointError if damaged."""
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    return _read_torch_zip(path) if zipped else None


def _read_index(folder: Path) -> dict[str, str] | None:
    for name in _INDEXES:
        path = folder / name
        if path.is_file():
            try:
                weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
                return {str(tensor): str(file) for tensor, file in weight_map.items()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise CheckpointError(f"{path} is not an index of weights: {error!r}") from None
    return None


def _weight_files(folder: Path) -> list[str]:
    adapters = [name for name in _ADAPTERS if (folder / name).is_file()]
    if adapters:
        beside = (folder / _BESIDE_ADAPTER).is_file()
        return [adapters[0], _BESIDE_ADAPTER] if beside else adapters[:1]
    for pattern in _PATTERNS:
        found = sorted(path.name for path in folder.glob(pattern) if path.is_file())
        found = [name for name in found if name not in _NOT_WEIGHTS and name != _PROJECTOR_FILE]
        if found:
            return found
    return []


def _read_safetensors(path: Path) -> dict[str, StoredTensor]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise CheckpointError(f"{path} is cut off: {size} bytes do not hold its header")
        try:
            header = json.loads(file.read(length))
        except ValueError:
            raise CheckpointError(f"{path} is not a safetensors file: no JSON header") from None
    header.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if size != 8 + length + end:
        cut = [name for name, at in header.items() if at["data_offsets"][1] > size - 8 - length]
        raise CheckpointError(
            f"{path} is damaged: it has {size} bytes and its header speaks of {8 + length + end}"
            f"{f', {cut[0]} is not whole' if cut else ''}; fetch it again"
        )
    return {
        name: StoredTensor(
            path.name, tuple(entry["shape"]), entry["data_offsets"][1] - entry["data_offsets"][0]
        )
        for name, entry in header.items()
    }


def read_torch_structure(path: Path) -> object:
    """What a torch file holds, tensors as `StoredTensor` and classes as empty stand-ins.

    Nothing that the file names is imported or run. Raises CheckpointError for a damaged file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            content: object = _NamesOnly(io.BytesIO(archive.read(name))).load()
    except (zipfile.BadZipFile, StopIteration, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} is damaged or no torch file: {error!r}") from None
    return _named(content, path.name)


def _named(content: object, file: str) -> object:
    if isinstance(content, _TensorStub):
        return StoredTensor(file, content.shape, content.size)
    if isinstance(content, dict):
        return {key: _named(value, file) for key, value in content.items()}
    return content


def _read_torch_zip(path: Path) -> dict[str, StoredTensor]:
    content = read_torch_structure(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds {type(content).__name__}, not named tensors")
    return {str(name): value for name, value in content.items() if isinstance(value, StoredTensor)}


@dataclass(frozen=True)
class _TensorStub:
    shape: tuple[int, ...]
    size: int


class _Stub:
    """Stands for any class or function that a pickle names; calling it does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Take anything."""

    def __setstate__(self, state: object) -> None:
        """Take anything."""


def _stub_tensor(storage: Any, offset: int, size: tuple[int, ...], *rest: object) -> _TensorStub:
    return _TensorStub(tuple(size), math.prod(size) * int(storage))


def _stub_parameter(data: _TensorStub, *rest: object) -> _TensorStub:
    return data


class _NamesOnly(pickle.Unpickler):
    """Reads the structure of a torch file; no class that it names is ever imported."""

    _KNOWN: Mapping[str, Callable[..., object]] = {
        "OrderedDict": collections.OrderedDict,
        "_rebuild_tensor_v2": _stub_tensor,
        "_rebuild_parameter": _stub_parameter,
    }
    _ITEM_SIZES: Mapping[str, int] = {
        "DoubleStorage": 8,
        "LongStorage": 8,
        "FloatStorage": 4,
        "IntStorage": 4,
        "HalfStorage": 2,
        "BFloat16Storage": 2,
        "ShortStorage": 2,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Give tensors a stand-in with a shape, storages their item size, all else a stub."""
        if name.endswith("Storage"):
            return self._ITEM_SIZES.get(name, 1)
        return self._KNOWN.get(name, _Stub)

    def persistent_load(self, pid: Any) -> int:
        """Bytes of one item of the storage that `pid` names."""
        return int(pid[1])
