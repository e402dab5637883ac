"""The vision towers as modules.

Each is called with pixels `[squares, 3, size, size]` and returns features `[squares, rows, width]`,
already cut to the layer and the tokens that the plan names; `width` is an attribute.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import torch

from sensorium.model_adapters.engine.towers.multiscale import multiscale
from sensorium.model_adapters.engine.towers.views import views
from sensorium.model_adapters.layouts import ViewsLayout
from sensorium.model_adapters.plan import Plan, TowerPlan
from sensorium.model_adapters.towers import KINDS

__all__ = ["build_tower", "feature_width", "features"]


def build_tower(plan: TowerPlan, config: Any, prefix: str) -> Any:
    """The module of a tower; `config` is its transformers configuration."""
    module, _, name = KINDS[plan.kind].build.partition(":")
    return getattr(importlib.import_module(module), name)(plan, config, prefix)


def feature_width(tower: Any, plan: Plan) -> int:
    """The width of what `features` gives of images."""
    if isinstance(plan.layout(), ViewsLayout):
        return 2 * int(tower.width)
    return int(tower.width) * max(1, len(plan.tower.scales))


def features(
    tower: Any, plan: TowerPlan, pixels: torch.Tensor, grids: Sequence[tuple[int, int]] = ()
) -> torch.Tensor:
    """`[squares, 3, size, size]` to the plan's features `[squares, rows, width]`.

    With `grids`, the squares (across, down) of each picture, to `[pictures, rows, width]`.
    """
    if grids:
        return views(tower, pixels, grids)
    seen = multiscale(tower, pixels, plan.scales) if plan.scales else tower(pixels)
    return seen[:, plan.skip :]
