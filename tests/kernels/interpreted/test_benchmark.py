"""The candidate product and the tuning tool, as they will run on a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from sensorium.benchmarks.kernels.comparison import Plan
from sensorium.benchmarks.kernels.gelu_gemm import gather_linear_gelu
from sensorium.benchmarks.kernels.tune import tune
from sensorium.kernels import runtime
from sensorium.kernels.accuracy import TOLERANCE, relative_error
from sensorium.kernels.all_cases import ALL_CASES
from sensorium.kernels.cases import Maker
from sensorium.kernels.pinned import FOLDER_VARIABLE, write_pinned

TILE = {"block_m": 32, "block_n": 32, "block_k": 16, "num_warps": 4, "num_stages": 2}


@pytest.mark.parametrize(("tokens", "columns"), [(1, 7), (70, 65), (0, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_gelu_gemm(dtype: torch.dtype, tokens: int, columns: int) -> None:
    made, exact = Maker(dtype), Maker(dtype, exact=True)
    x, weight, bias = made.normal(80, 48), made.normal(columns, 48, scale=0.2), made.normal(columns)
    wide = exact.normal(80, 48), exact.normal(columns, 48, scale=0.2), exact.normal(columns)
    source = torch.arange(tokens, dtype=torch.int32).flip(0)
    expected = functional.gelu(functional.linear(wide[0][source.long()], *wide[1:]))
    result = gather_linear_gelu(x, source, weight, bias, TILE)
    # The fit itself is off by 2.5e-5 at most.
    assert relative_error(result, expected) < TOLERANCE[dtype] + 5e-5


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # infinity is what the fit counts on
def test_gelu_fit_everywhere() -> None:
    x = torch.cat([torch.linspace(-40, 40, 4096), torch.tensor([0.0, 1e-30, 3e38, -3e38])])
    x = functional.pad(x, (0, -len(x) % 16)).view(-1, 16)
    rows = torch.arange(len(x), dtype=torch.int32)
    result = gather_linear_gelu(x, rows, torch.eye(16), torch.zeros(16), TILE)
    expected = functional.gelu(x.double())
    assert torch.isfinite(result).all()
    small = x.abs() < 50
    assert (result.double() - expected)[small].abs().max() < 2.6e-5
    assert torch.allclose(result.double()[~small], expected[~small], rtol=1e-5)


def test_a_width_that_blocks_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="blocks of 16 do not divide the width 50"):
        gather_linear_gelu(
            torch.zeros(2, 50), torch.zeros(1), torch.zeros(4, 50), torch.zeros(4), TILE
        )


def test_tuning_pins_what_automatic_choice_then_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan("cpu", torch.bfloat16, tiny=True, compiled=False, repeats=1)
    decoding = next(case for case in ALL_CASES if case.name == "decoding")
    entries = list(tune([ALL_CASES[0], decoding], plan))
    assert [entry.op for entry in entries] == ["gather_norm", "embed_merge"]
    # The interpreter is slower than torch, which is what an honest measurement says.
    assert {entry.backend for entry in entries} == {"reference"}
    write_pinned(tmp_path, "interpreted", entries, {})
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    described = runtime.describe_device(torch.device("cpu"))
    device = type(described)("cpu", "interpreted", triton=True, interpreted=True)
    monkeypatch.setattr(runtime, "describe_device", lambda _: device)
    with runtime.forced("auto"), runtime.recorded() as problems:
        work = ALL_CASES[0].build(ALL_CASES[0].tiny, Maker(torch.bfloat16))
        work.ours(work.x)
        choice = runtime.choose(problems[0], torch.device("cpu"))
    assert choice.reason == "measured: torch is faster"
