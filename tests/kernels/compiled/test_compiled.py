"""Default configurations, at the models' sizes, on three kinds of GPU: nothing spills."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from triton import next_power_of_2

from sensorium.benchmarks.kernels.gelu_gemm import CONFIGS, gemm_kernel
from sensorium.kernels.embed_merge.triton import merge_kernel
from sensorium.kernels.gather_norm.triton import constants, join_kernel, pool_kernel
from sensorium.kernels.ldpv2_tail.triton import tail_kernel
from sensorium.kernels.pack_project.triton import pack_kernel
from sensorium.kernels.pinned import read_all
from sensorium.kernels.selection import DEFAULTS
from tests.kit.triton_compiler import SHARED_LIMIT, TARGETS, Machine, compile_for

BF16, FP8, I32 = torch.bfloat16, torch.float8_e4m3fn, torch.int32
targets = pytest.mark.parametrize("target", TARGETS)


def gather_norm(
    target: str, segments: int, width: int, norm: str, pool: bool, fp8: bool = False, warps: int = 0
) -> Machine:
    tensors = {"x": BF16, "index": I32, "weight": BF16, "bias": BF16}
    results = {"out": FP8 if fp8 else BF16, "scale": torch.float32}
    fixed: dict[str, Any] = constants(segments, width, norm, 1e-6, pool, fp8)
    fixed |= {"has_weight": norm != "none", "has_bias": norm == "layer"}
    kernel = pool_kernel if pool else join_kernel
    warps = warps or DEFAULTS["gather_norm"]["num_warps"]
    return compile_for(target, kernel, tensors | results, fixed, num_warps=warps)


def check(machine: Machine, target: str, *, wide_loads: int = 0) -> None:
    assert machine.spills == 0, machine
    assert machine.registers <= (512 if target.startswith("gfx") else 255), machine
    assert machine.shared <= SHARED_LIMIT[target], machine
    # 64 threads a warp leave AMD fewer than 16 bytes a thread in rows of this length.
    assert machine.wide_loads >= wide_loads or target.startswith("gfx"), machine


@targets
@pytest.mark.parametrize(
    ("segments", "width", "norm", "pool"),
    [(4, 1024, "layer", False), (1, 1280, "layer", False), (2, 1280, "layer", True)],
    ids=["internvl", "qwen2-vl", "qwen2-audio"],
)
def test_gather_norm(target: str, segments: int, width: int, norm: str, pool: bool) -> None:
    machine = gather_norm(target, segments, width, norm, pool)
    check(machine, target, wide_loads=1)


@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
def test_gather_norm_at_its_longest(target: str) -> None:
    check(gather_norm(target, 4, 3200, "layer", False), target)  # InternVL-26B
    check(gather_norm(target, 16, 1152, "rms", True), target)  # Gemma-3


def test_gather_norm_to_fp8() -> None:
    check(gather_norm("sm_90", 4, 1024, "layer", False, fp8=True), "sm_90")


@targets
def test_pack_rows(target: str) -> None:
    config = dict(DEFAULTS["pack_rows"])
    warps = config.pop("num_warps")
    tensors = {"x": BF16, "source": I32, "out": BF16, "tokens": 2340}
    machine = compile_for(target, pack_kernel, tensors, {"width": 1024, **config}, num_warps=warps)
    check(machine, target, wide_loads=1)


@targets
@pytest.mark.parametrize("scale", [1.0, 50.75], ids=["plain", "gemma"])
def test_embed_merge(target: str, scale: float) -> None:
    config = dict(DEFAULTS["embed_merge"])
    warps = config.pop("num_warps")
    tensors = {"ids": I32, "plan": I32, "pointers": torch.int64, "table": BF16, "out": BF16}
    fixed = {"vocabulary": 32064, "width": 4096, "aligned": True, "scale": scale, **config}
    machine = compile_for(target, merge_kernel, {**tensors, "tokens": 640}, fixed, num_warps=warps)
    check(machine, target, wide_loads=2)


@targets
def test_ldpv2_tail(target: str) -> None:
    config = dict(DEFAULTS["ldpv2_tail"])
    warps = config.pop("num_warps")
    tensors = dict.fromkeys(("x", "weight", "bias", "out"), BF16)
    fixed = {"edge": 24, "width": 2048, "padded_half": next_power_of_2(12), **config}
    check(compile_for(target, tail_kernel, tensors, fixed, num_warps=warps), target)


def test_pinned_configurations_compile() -> None:
    """What a tuning run wrote is held to the same limits; none may be written by hand."""
    for entry in read_all():
        if entry.op != "gather_norm" or entry.backend != "triton":
            continue
        norm, _, rest = entry.variant.partition("+")
        segments, width = entry.sizes
        warps = entry.config["num_warps"]
        machine = gather_norm(
            "sm_90", segments, width, norm, "pool" in rest, "fp8" in rest, warps=warps
        )
        check(machine, "sm_90")


def test_the_report_sees_spills() -> None:
    machine = gather_norm("sm_90", 16, 1152, "layer", False, warps=2)
    assert machine.spills > 0


@pytest.mark.parametrize(
    ("target", "config"),
    [*(("sm_90", config) for config in CONFIGS), ("sm_80", CONFIGS[1]), ("gfx942", CONFIGS[1])],
)
def test_gelu_gemm(target: str, config: dict[str, int]) -> None:
    """The candidate uses the matrix unit; its middle configuration lets two blocks share an SM."""
    if target == "gfx942":
        config = {**config, "num_stages": 2}  # 64 KiB of shared memory
    sizes = {name: config[name] for name in ("block_m", "block_n", "block_k")}
    tensors = {"x": BF16, "source": I32, "weight": BF16, "bias": BF16, "out": BF16, "rows": 4608}
    fixed = {"columns": 4096, "width": 1024, "group": 8, **sizes}
    options = {name: config[name] for name in ("num_warps", "num_stages")}
    machine = compile_for(target, gemm_kernel, tensors, fixed, **options)
    check(machine, target)
    assert machine.matrix == {"sm_80": "HMMA", "sm_90": "HGMMA", "gfx942": "mfma"}[target]
    if target == "sm_90" and config == CONFIGS[1]:
        threads = 32 * config["num_warps"]
        assert 2 * machine.registers * threads <= 65536, machine
        assert 2 * (machine.shared + 1024) <= 233472, machine
