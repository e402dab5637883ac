"""What the settings file says about a single model's checkpoint: family, tower, base, conversation.

Every process of an engine reads these choices from environment variables, which hold entries
CHECKPOINT=VALUE; see `model_adapters.choices` and `model_adapters.folders`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sensorium.serving.errors import UserError

__all__ = ["CHOICES", "Choice", "read_choice", "refuse_conflicts"]

# Options that the reading of checkpoints takes from the environment.
CHOICES = ("vision-tower", "base-model", "conversation", "family")
_OF_A_PART = "vision-tower"


class Choice(NamedTuple):
    """An option's value for one model; with `vision-tower` it may be NAME=FOLDER."""

    option: str
    value: str

    def entry(self, source: str) -> str:
        """The entry of the option's variable for the checkpoint at `source`."""
        name, separator, folder = self.value.rpartition("=")
        checkpoint = str(Path(source))
        return f"{checkpoint}:{name}={folder}" if separator else f"{checkpoint}={self.value}"


def read_choice(option: str, value: Any, model: str, source: str) -> list[Choice]:
    """The choices that `value`, a text or a list of them, makes; raises UserError for others."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str) and item for item in values):
        raise UserError(f"`{option}` of model {model!r} must be a text, got {value!r}")
    if option != _OF_A_PART and (len(values) > 1 or "=" in values[0]):
        raise UserError(
            f"`{option}` of model {model!r} takes one value without NAME=, got {value!r}"
        )
    for text in (source, *values):
        if "," in text:
            raise UserError(
                f"`{option}` of model {model!r}: no path may hold a comma, got {text!r}"
            )
    return [Choice(option, item) for item in values]


def refuse_conflicts(models: Iterable[tuple[str, Sequence[Choice]]]) -> None:
    """Raise UserError where one checkpoint, told by its source, is to be read in two ways."""
    found: dict[str, Sequence[Choice]] = {}
    for source, choices in models:
        checkpoint = str(Path(source))
        if set(found.setdefault(checkpoint, choices)) != set(choices):
            raise UserError(
                f"{checkpoint} is served twice with different {', '.join(CHOICES)}; make a "
                "symbolic link to the folder and serve one of the models from there"
            )
