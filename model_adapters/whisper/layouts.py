"""Which of three layouts a Whisper comes in, told without reading its weights.

OpenAI's: one `.pt` file. CTranslate2's: `model.bin` with `config.json` and `tokenizer.json`.
Hugging Face's: `config.json` with the model type `whisper`, and safetensors. Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.tensor_files import StoredTensor, read_torch_structure
from sensorium.model_adapters.whisper.facts import WhisperDimensions
from sensorium.model_adapters.whisper.openai import dimensions_of
from sensorium.model_adapters.whisper.vocabulary_files import find_tokenizer, is_multilingual

__all__ = [
    "CTRANSLATE2",
    "HUGGING_FACE",
    "OPENAI",
    "WhisperCheckpoint",
    "inspect_whisper",
    "layout",
    "may_be_whisper",
]

OPENAI, CTRANSLATE2, HUGGING_FACE = "OpenAI", "CTranslate2", "Hugging Face"
_SPEC = b"WhisperSpec\0"


@dataclass(frozen=True)
class WhisperCheckpoint:
    """What is known of a checkpoint; `problems` is what keeps it from being served."""

    path: str
    layout: str
    dimensions: WhisperDimensions
    multilingual: bool
    languages: int
    weight_bytes: int
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able data."""
        return asdict(self)


def layout(path: Path) -> str | None:
    """The layout of a Whisper in a file or folder, or None where there is none."""
    if path.is_file():
        return OPENAI if path.suffix == ".pt" else None
    if _is_ctranslate2(path / "model.bin"):
        return CTRANSLATE2
    if _config(path).get("model_type") == "whisper":
        return HUGGING_FACE
    return (
        OPENAI if original_file(path) is not None and not (path / "config.json").is_file() else None
    )


def may_be_whisper(source: str) -> bool:
    """Whether a path holds a Whisper; a hub id is judged by its name."""
    path = Path(source).expanduser()
    return layout(path) is not None if path.exists() else "whisper" in source.lower()


def original_file(path: Path) -> Path | None:
    """The one `.pt` file that `path` is or holds, or None."""
    if path.is_file():
        return path
    files = sorted(path.glob("*.pt"))
    return files[0] if len(files) == 1 else None


def _is_ctranslate2(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(6 + len(_SPEC))
    except OSError:
        return False
    return head[6:] == _SPEC


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def inspect_whisper(path: Path) -> WhisperCheckpoint | None:
    """What a Whisper checkpoint holds, or None where `path` is none; CheckpointError if damaged."""
    kind = layout(path)
    if kind is None:
        return None
    if kind == CTRANSLATE2:
        return _ctranslate2(path)
    return _openai(path) if kind == OPENAI else _hugging_face(path)


def _found(
    path: Path, kind: str, sizes: WhisperDimensions, weight_bytes: int, problems: list[str]
) -> WhisperCheckpoint:
    multilingual = is_multilingual(sizes.vocab_size)
    languages = sizes.vocab_size - 51_766 if multilingual else 1
    return WhisperCheckpoint(
        str(path), kind, sizes, multilingual, languages, weight_bytes, tuple(problems)
    )


def _openai(path: Path) -> WhisperCheckpoint:
    file = original_file(path) or path
    content = read_torch_structure(file)
    sizes = dimensions_of(content, file)
    state = content["model_state_dict"] if isinstance(content, Mapping) else {}
    total = sum(t.size or 0 for t in state.values() if isinstance(t, StoredTensor))
    problems = []
    try:
        find_tokenizer(file, sizes.vocab_size)
    except CheckpointError as error:
        problems.append(str(error))
    return _found(file, OPENAI, sizes, total, problems)


def _ctranslate2(folder: Path) -> WhisperCheckpoint:
    from sensorium.model_adapters.ct2.reader import CT2Error, read_model
    from sensorium.model_adapters.ct2.whisper import whisper_weights

    data = (folder / "model.bin").read_bytes()
    try:
        sizes = whisper_weights(read_model(data)).dimensions
    except CT2Error as error:
        raise CheckpointError(f"{folder / 'model.bin'}: {error}") from None
    wanted = ("config.json", "tokenizer.json")
    problems = [f"no {name}" for name in wanted if not (folder / name).is_file()]
    return _found(folder, CTRANSLATE2, sizes, len(data), problems)


def _hugging_face(folder: Path) -> WhisperCheckpoint:
    config = _config(folder)
    names = WhisperDimensions.__dataclass_fields__
    try:
        sizes = WhisperDimensions(**{name: int(config[name]) for name in names})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: no size {error}") from None
    files = [*folder.glob("*.safetensors")] or [*folder.glob("*.bin")]
    problems = [] if files else ["no weight file (*.safetensors or *.bin)"]
    if not (folder / "tokenizer.json").is_file():
        problems.append("no tokenizer.json")
    return _found(folder, HUGGING_FACE, sizes, sum(f.stat().st_size for f in files), problems)
