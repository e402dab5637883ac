"""The vision towers as modules.

Each is called with pixels `[squares, 3, size, size]` and returns features `[squares, rows, width]`,
already cut to the layer and the tokens that the plan names; `width` is an attribute.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch

from sensorium.model_adapters.engine.towers.multiscale import multiscale
from sensorium.model_adapters.plan import TowerPlan
from sensorium.model_adapters.towers import KINDS

__all__ = ["build_tower", "feature_width", "features"]


def build_tower(plan: TowerPlan, config: Any, prefix: str) -> Any:
    """The module of a tower; `config` is its transformers configuration."""
    module, _, name = KINDS[plan.kind].build.partition(":")
    return getattr(importlib.import_module(module), name)(plan, config, prefix)


def feature_width(tower: Any, plan: TowerPlan) -> int:
    """The width of what `features` gives."""
    return int(tower.width) * max(1, len(plan.scales))


def features(tower: Any, plan: TowerPlan, pixels: torch.Tensor) -> torch.Tensor:
    """`[squares, 3, size, size]` to the plan's features `[squares, rows, width]`."""
    seen = multiscale(tower, pixels, plan.scales) if plan.scales else tower(pixels)
    return seen[:, plan.skip :]
