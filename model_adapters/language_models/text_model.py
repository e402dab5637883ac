"""What a text-only checkpoint in its authors' layout is, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sensorium.model_adapters.prompt_style import PromptStyle
from sensorium.model_adapters.spec import LanguageModel

__all__ = ["Style", "TextModel", "no_style"]

# Config and generation config to the conversation format, None for a model that was not trained on
# conversations.
Style = Callable[[Mapping[str, Any], Mapping[str, Any]], PromptStyle | None]


def no_style(raw: Mapping[str, Any], generation: Mapping[str, Any]) -> PromptStyle | None:
    """The style of models that continue texts."""
    return None


@dataclass(frozen=True)
class TextModel:
    """A language model that is served alone; `architectures` are the names in its configs.

    `proof` names the test that compares it with its reference.
    """

    name: str
    title: str
    checkpoints: tuple[str, ...]
    architectures: tuple[str, ...]
    language_model: LanguageModel
    proof: str
    style: Style = no_style
    limits: str = ""
