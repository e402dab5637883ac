"""How a checkpoint's conversations are written, beyond what its files say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensorium.model_adapters.choices import (
    CONVERSATION,
    checkpoint_name,
    choice,
    with_family,
)
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models.text_model import TextModel
from sensorium.model_adapters.language_models.text_models import find_text_model, style_of
from sensorium.model_adapters.prompt_style import PromptStyle
from sensorium.model_adapters.prompts import STYLES
from sensorium.model_adapters.registry import (
    FAMILY_KEY,
    Match,
    architecture_of,
    families,
    recognise,
)

__all__ = ["choose_style", "choose_text_style", "stop_texts"]


def choose_style(match: Match, path: str) -> PromptStyle:
    """The style that a user asks for, else what the checkpoint's name and config call for.

    Raises CheckpointError for a style that is not known.
    """
    spec, config = match.spec, match.config
    wanted = _wanted(path)
    if wanted is None:
        return spec.prompt(config, architecture_of(config), checkpoint_name(path))
    return spec.with_image_tokens(wanted, config)


def choose_text_style(raw: Mapping[str, Any], model: TextModel, folder: Path) -> PromptStyle | None:
    """The same for a language model alone; None for one that only continues texts."""
    return _wanted(str(folder)) or style_of(folder, raw, model)


def stop_texts(checkpoint: Path, family: str | None = None) -> tuple[str, ...]:
    """Texts that end an answer of this checkpoint, beside its tokenizer's end token.

    vLLM has no default for `stop`, so the server adds them to requests that set none. Empty for a
    checkpoint that is not read here. `family` is the family's name where overrides of the config
    chose it. Raises CheckpointError for a config that is ours but unknown.
    """
    text = find_text_model(checkpoint)
    if text is not None:
        style = choose_text_style(*text, checkpoint)
        return () if style is None else style.stops
    try:
        raw = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    if not isinstance(raw, dict):
        return ()
    chosen = with_family(raw, str(checkpoint)) if family is None else {**raw, FAMILY_KEY: family}
    match = recognise(chosen)
    return () if match is None else choose_style(match, str(checkpoint)).stops


def _wanted(path: str) -> PromptStyle | None:
    found = choice(CONVERSATION, path)
    if found is None:
        return None
    known = {**_styles_of_families(), **STYLES}
    if found not in known:
        raise CheckpointError(
            f"{CONVERSATION} asks for {found!r}; known: {', '.join(sorted(known))}"
        )
    return known[found]


def _styles_of_families() -> dict[str, PromptStyle]:
    """Styles that only one family has, by name; reads every spec."""
    return {style.name: style for entry in families() for style in entry.load().styles()}
