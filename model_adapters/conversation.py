"""How a checkpoint's conversations are written, beyond what its files say."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.prompts import STYLES, PromptStyle
from sensorium.model_adapters.registry import Match, architecture_of, recognise

__all__ = ["CONVERSATION", "checkpoint_name", "choose_style", "stop_texts"]

# A style's name, NAME=STYLE for one checkpoint, or several of these with commas.
CONVERSATION = "SENSORIUM_CONVERSATION"
_CACHED = re.compile(r"models--(?:[^/]+?--)?([^/]+)/snapshots/")


def checkpoint_name(path: str) -> str:
    """The last part of a hub id or of a folder, also for a folder of the hub's cache."""
    cached = _CACHED.search(path)
    return cached[1] if cached is not None else Path(path).name


def choose_style(match: Match, path: str) -> PromptStyle:
    """The style that a user asks for, else what the checkpoint's name and config call for.

    Raises CheckpointError for a style that is not known.
    """
    name = checkpoint_name(path)
    spec, config = match.spec, match.config
    wanted = _wanted(name, path)
    if wanted is None:
        return spec.prompt(config, architecture_of(config), name)
    if wanted not in STYLES:
        raise CheckpointError(
            f"{CONVERSATION} asks for {wanted!r}; known: {', '.join(sorted(STYLES))}"
        )
    return spec.with_image_tokens(STYLES[wanted], config)


def stop_texts(checkpoint: Path) -> tuple[str, ...]:
    """Texts that end an answer of this checkpoint, beside its tokenizer's end token.

    vLLM has no default for `stop`, so the server adds them to requests that set none. Empty for a
    checkpoint that is not read here. Raises CheckpointError for a config that is ours but unknown.
    """
    try:
        raw = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    match = recognise(raw) if isinstance(raw, dict) else None
    return () if match is None else choose_style(match, str(checkpoint)).stops


def _wanted(name: str, path: str) -> str | None:
    found = None
    for entry in filter(None, map(str.strip, os.environ.get(CONVERSATION, "").split(","))):
        checkpoint, separator, style = entry.rpartition("=")
        if not separator or checkpoint in (name, path):
            found = style
    return found
