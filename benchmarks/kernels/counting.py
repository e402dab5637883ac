"""Launches and bytes of a call, counted where torch dispatches its operators.

A lower bound: what an operator does inside (a hidden copy, several kernels) counts once. On a GPU
the profiler's count of kernels stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sensorium.kernels.cases import bytes_of

__all__ = ["Count", "count"]


@dataclass(frozen=True)
class Count:
    """Operators that are not mere views, the bytes they read and write, kernels on a GPU."""

    launches: int
    bytes: int
    kernels: int | None


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.launches = 0
        self.bytes = 0

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = operator(*args, **(kwargs or {}))
        out = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        into = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if not _only_looks(operator, into, out):
            self.launches += 1
            self.bytes += bytes_of(*into, *out)
        return result


def _only_looks(operator: Any, into: list[torch.Tensor], out: list[torch.Tensor]) -> bool:
    """Whether the operator returned views of what it was given, or made room only.

    Storages tell, not schemas: `reshape` says that it returns a view, and copies when it must.
    """
    if operator.namespace == "sensorium" or operator._schema.is_mutable:
        return False
    if "empty" in operator.name():
        return True
    storages = {tensor.untyped_storage().data_ptr() for tensor in into}
    return all(tensor.untyped_storage().data_ptr() in storages for tensor in out)


def count(call: Callable[[Any], Any], x: Any) -> Count:
    """Run the call once and count."""
    with _Counter() as counter:
        call(x)
    return Count(counter.launches, counter.bytes, _kernels(call, x))


def _kernels(call: Callable[[Any], Any], x: Any) -> int | None:
    if not (isinstance(x, torch.Tensor) and x.device.type == "cuda"):
        return None
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        call(x)
        torch.cuda.synchronize()
    return sum(1 for event in profiler.events() if event.device_type.name == "CUDA")
