"""The rules by which media workers prepare pictures, as requests name them."""

from __future__ import annotations

import json
from typing import Any

from sensorium.model_adapters.grid_rule import GridRule
from sensorium.model_adapters.multiples_rule import MultiplesRule
from sensorium.model_adapters.patch_rule import PatchRule
from sensorium.model_adapters.picture_rule import PictureRule
from sensorium.model_adapters.split_rule import SplitRule
from sensorium.model_adapters.square_rule import SquareRule

__all__ = ["read_rule"]

_KINDS: tuple[type[PictureRule], ...] = (
    SquareRule,
    PatchRule,
    MultiplesRule,
    SplitRule,
    GridRule,
)


def read_rule(recipe: str) -> PictureRule | None:
    """The rule in a recipe, where it holds one."""
    found = json.loads(recipe)
    for kind in _KINDS:
        if kind.key in found:
            return kind(**{name: _tuples(value) for name, value in found[kind.key].items()})
    return None


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
