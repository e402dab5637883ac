"""What a server has to know of a checkpoint's conversation format, beside its template."""

from __future__ import annotations

import json
from pathlib import Path

from sensorium.model_adapters.language_models.text_models import find_text_model, style_of
from sensorium.model_adapters.registry import architecture_of, recognise

__all__ = ["stop_texts"]


def stop_texts(checkpoint: Path) -> tuple[str, ...]:
    """Texts that end an answer of this checkpoint, beside its tokenizer's end token.

    vLLM has no default for `stop`, so the server adds them to requests that set none. Empty for a
    checkpoint that is not read here. Raises CheckpointError for a config that is ours but unknown.
    """
    text = find_text_model(checkpoint)
    if text is not None:
        style = style_of(checkpoint, *text)
        return () if style is None else style.stops
    try:
        raw = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    match = recognise(raw) if isinstance(raw, dict) else None
    return () if match is None else match.spec.prompt(architecture_of(raw)).stops
