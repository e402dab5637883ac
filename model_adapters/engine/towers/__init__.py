"""The vision towers as modules.

Each is called with pixels `[squares, 3, size, size]` and returns features `[squares, rows, width]`,
already cut to the layer and the tokens that the plan names; `width` is an attribute.
"""

from __future__ import annotations

import importlib
from typing import Any

from sensorium.model_adapters.plan import TowerPlan
from sensorium.model_adapters.towers import KINDS

__all__ = ["build_tower"]


def build_tower(plan: TowerPlan, config: Any, prefix: str) -> Any:
    """The module of a tower; `config` is its transformers configuration."""
    module, _, name = KINDS[plan.kind].build.partition(":")
    return getattr(importlib.import_module(module), name)(plan, config, prefix)
