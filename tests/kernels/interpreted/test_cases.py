"""Every declared case: the kernel against the family's own torch code in float64."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
import torch

from sensorium.kernels import runtime
from sensorium.kernels.accuracy import relative_error
from sensorium.kernels.all_cases import ALL_CASES
from sensorium.kernels.cases import Case, Maker
from tests.kit.triton_interpreter import reachable

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def media_of(work: Any) -> list[torch.Tensor]:
    """Tensors that the case's function closes over: those behind a table of pointers."""
    held = [cell.cell_contents for cell in work.ours.__closure__ or ()]
    lists = [value for value in held if isinstance(value, list)]
    return [tensor for value in lists for tensor in value if isinstance(tensor, torch.Tensor)]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_equals_the_family(case: Case, dtype: torch.dtype) -> None:
    exact = case.build(case.tiny, Maker(dtype, exact=True))
    work = case.build(case.tiny, Maker(dtype))
    before = runtime.calls()
    with ExitStack() as stack:
        stack.enter_context(reachable(media_of(work)))
        result = work.ours(work.x)
    ran = {key: count - before.get(key, 0) for key, count in runtime.calls().items()}
    assert sum(n for (op, backend, _), n in ran.items() if (op, backend) == (case.op, "triton"))
    assert result.dtype == (case.rounds_to or dtype)
    assert relative_error(result, exact.eager(exact.x)) < case.allowed(dtype)
