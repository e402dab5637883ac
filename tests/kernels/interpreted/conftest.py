"""Kernels under Triton's interpreter; collected only in a process that was started for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
collect_ignore_glob = [] if INTERPRETED else ["test_*.py"]

if INTERPRETED:
    from tests.kit.triton_interpreter import check_bounds, repair

    repair()
    check_bounds()


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that nobody has written holds NaN, so that a row a kernel leaves out is seen."""
    theirs = torch.Tensor.new_empty

    def new_empty(self: torch.Tensor, *shape: Any, **options: Any) -> torch.Tensor:
        made = theirs(self, *shape, **options)
        if made.dtype == torch.float8_e4m3fn:
            made.view(torch.uint8).fill_(0x7F)
        elif made.is_floating_point():
            made.fill_(torch.nan)
        return made

    monkeypatch.setattr(torch.Tensor, "new_empty", new_empty)


@pytest.fixture(autouse=True)
def triton_everywhere() -> Iterator[None]:
    """Every operator runs its kernel."""
    from sensorium.kernels import runtime

    with runtime.forced("triton"):
        yield
