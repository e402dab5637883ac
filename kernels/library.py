"""Registration of operators with torch, so that compilation and graph capture see them whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["register"]

# The registrations live as long as this object.
_LIBRARY = torch.library.Library("sensorium", "FRAGMENT")


def register(schema: str, run: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    """Register `schema` (mutated arguments marked `(a!)`) and return the operator.

    `fake` gives outputs of the right shape without computing. The plain library calls cost half of
    what `torch.library.custom_op` costs a call.
    """
    name = schema.partition("(")[0]
    _LIBRARY.define(schema)
    _LIBRARY.impl(name, run, "CompositeExplicitAutograd")
    torch.library.register_fake(f"sensorium::{name}", fake, lib=_LIBRARY)
    return getattr(torch.ops.sensorium, name).default
