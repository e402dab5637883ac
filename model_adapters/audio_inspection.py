"""What a folder with an audio model of vLLM's holds and how it would be served.

Needs the config; an index or weight files add what is known of the tensors. Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sensorium.model_adapters.audio_model import AudioModel
from sensorium.model_adapters.audio_models import find_audio_model
from sensorium.model_adapters.inspection import weight_bytes
from sensorium.model_adapters.tensor_files import TensorFiles, scan

__all__ = ["AudioInspection", "inspect_audio"]

_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
_TEMPLATES = ("chat_template.jinja", "chat_template.json", "tekken.json")


@dataclass(frozen=True)
class AudioInspection:
    """The findings; `to_dict` is what `sensorium inspect --json` prints.

    Fields that `AudioModel` has mean the same here. `sampling` is what answers are drawn with when
    a request does not say, `template` whether the folder says how conversations are written,
    `weight_bytes` is None where sizes are not known, and `problems` is what keeps the checkpoint
    from being served.
    """

    path: str
    family: str
    title: str
    architecture: str
    modalities: tuple[str, ...]
    rate: int
    seconds: float | None
    beyond: str
    sounds: int | None
    tokens_per_second: float
    placeholder: str
    template: bool
    sampling: Mapping[str, float]
    limits: str
    needs: str
    weight_bytes: int | None
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able data."""
        return asdict(self)


def inspect_audio(folder: Path) -> AudioInspection | None:
    """Read a folder; None where its config is not an audio model's that has an entry."""
    raw = _json(folder / "config.json")
    model = find_audio_model(raw)
    if model is None:
        return None
    files = scan(folder)
    return AudioInspection(
        path=str(folder),
        family=model.name,
        title=model.title,
        architecture=str(raw["architectures"][0]),
        modalities=model.modalities,
        rate=model.rate,
        seconds=model.seconds,
        beyond=model.beyond,
        sounds=model.sounds,
        tokens_per_second=model.tokens_per_second,
        placeholder=model.placeholder,
        template=_has_template(folder),
        sampling=_sampling(folder, model),
        limits=model.limits,
        needs=model.needs,
        weight_bytes=weight_bytes(folder, files),
        problems=tuple(_problems(files)),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _has_template(folder: Path) -> bool:
    if any((folder / name).is_file() for name in _TEMPLATES):
        return True
    return any(
        "chat_template" in _json(folder / name)
        for name in ("tokenizer_config.json", "processor_config.json")
    )


def _sampling(folder: Path, model: AudioModel) -> dict[str, float]:
    said = _json(folder / "generation_config.json")
    return {**model.generation, **{name: said[name] for name in _SAMPLING if name in said}}


def _problems(files: TensorFiles) -> list[str]:
    if files.missing:
        return [f"weight files that the index names are absent: {files.absent()}"]
    return [] if files.files else ["no weight file (*.safetensors, *.bin, *.pth)"]
