"""The projectors, in plain torch, with the parameter names of the authors' checkpoints.

Each module maps features `[squares, rows, width]` to `[squares, tokens, out]`.
"""

from __future__ import annotations

import importlib

from torch import nn

from sensorium.model_adapters.projector_types import BUILDERS, ProjectorType

__all__ = ["build_projector"]


def build_projector(kind: ProjectorType, width: int, out: int) -> nn.Module:
    """The module of a projector from features of `width` to a language model of width `out`."""
    module, _, name = BUILDERS[kind.kind].partition(":")
    built: nn.Module = getattr(importlib.import_module(module), name)(kind, width, out)
    return built
