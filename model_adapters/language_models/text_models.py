"""The text-only checkpoints that are served in their authors' layout, and how to recognise them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models import (
    aquila,
    baichuan,
    internlm,
    meta_llama,
    qwen,
    xverse,
)
from sensorium.model_adapters.language_models.text_model import TextModel
from sensorium.model_adapters.prompt_style import PromptStyle

__all__ = ["TEXT_MODELS", "find_text_model", "style_of", "text_model_of"]

TEXT_MODELS: tuple[TextModel, ...] = (
    qwen.TEXT_MODEL,
    internlm.TEXT_MODEL,
    baichuan.TEXT_MODEL,
    baichuan.BAICHUAN2_TEXT_MODEL,
    xverse.TEXT_MODEL,
    aquila.TEXT_MODEL,
    meta_llama.TEXT_MODEL,
)
_BY_ARCHITECTURE = {name: model for model in TEXT_MODELS for name in model.architectures}
# Models of several kinds of input that are built on one of these keep its architecture's name.
_NOT_TEXT = ("visual", "audio", "vision_config", "audio_config", "mm_vision_tower")


def text_model_of(raw: Mapping[str, Any]) -> TextModel | None:
    """The text model that a config describes; None for configs that are not one of ours."""
    names = raw.get("architectures") or [""]
    if any(raw.get(key) is not None for key in _NOT_TEXT):
        return None
    return _BY_ARCHITECTURE.get(str(names[0]))


def find_text_model(folder: Path) -> tuple[dict[str, Any], TextModel] | None:
    """Config and text model of a folder; None where there is none that is read here."""
    path = folder / "config.json"
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raw = meta_llama.read_meta_folder(folder)
    except ValueError:
        return None
    found = text_model_of(raw) if isinstance(raw, dict) else None
    return None if found is None else (raw, found)


def style_of(folder: Path, raw: Mapping[str, Any], model: TextModel) -> PromptStyle | None:
    """The conversation format of a checkpoint; None for a model that only continues texts.

    Raises CheckpointError for a generation_config.json that is no JSON.
    """
    path = folder / "generation_config.json"
    try:
        generation = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from None
    return model.style(raw, generation)
