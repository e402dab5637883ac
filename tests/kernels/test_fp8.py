"""Layers in e4m3: what they keep of normal values, and what the gate refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sensorium.kernels import runtime
from sensorium.kernels.accuracy import relative_error
from sensorium.kernels.fp8 import (
    ErrorSum,
    Fp8Linear,
    InaccurateError,
    QuantisedRows,
    check_error,
    gather_for,
    largest_error,
    rows_for,
)
from sensorium.kernels.gather_norm import gather_norm
from sensorium.kernels.pack_project import pack_rows


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layer(width: int, out: int, *, bias: bool = True, seed: int = 1) -> nn.Linear:
    made = nn.Linear(width, out, bias=bias)
    with torch.no_grad():
        made.weight.copy_(normal(out, width, seed=seed) * width**-0.5)
        if bias:
            made.bias.copy_(normal(out, seed=seed + 1) * 0.1)
    return made.requires_grad_(False)


def errors(result: torch.Tensor, exact: torch.Tensor) -> ErrorSum:
    found = ErrorSum()
    found.add(result, exact)
    return found


def mlp_errors(x: torch.Tensor, *layers: nn.Linear) -> ErrorSum:
    exact, fast = x.double(), x
    for number, one in enumerate(layers):
        exact, fast = (nn.functional.gelu(y) if number else y for y in (exact, fast))
        bias = None if one.bias is None else one.bias.double()
        exact = nn.functional.linear(exact, one.weight.double(), bias)
        fast = Fp8Linear(one.weight, one.bias)(fast)
    return errors(fast, exact)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "without"])
def test_a_layer_is_near_the_exact_one(bias: bool) -> None:
    found = mlp_errors(normal(64, 256), layer(256, 192, bias=bias))
    assert 0.03 < found.total < largest_error(1)
    check_error(found, ErrorSum(), 1)


def test_normal_features_pass_through_two_layers() -> None:
    """They err by more than 5 %: a gate there would refuse what nothing is wrong with."""
    found = mlp_errors(normal(64, 256), layer(256, 512), layer(512, 512, seed=3))
    assert 0.05 < found.total < largest_error(2)
    assert f"errs by {found.total:.2%}" in check_error(found, ErrorSum(), 2)


def test_outlier_channels_do_not() -> None:
    # A channel so large that the others fall below e4m3's smallest number, and no weight on it.
    x, first = normal(64, 256), layer(256, 192)
    x[:, 0], first.weight[:, 0] = 3e5, 0
    with pytest.raises(InaccurateError, match=r"at most 4\.62%, and 25% in a token, are allowed"):
        check_error(mlp_errors(x, first), ErrorSum(), 1)


def test_one_lost_token_is_enough() -> None:
    exact = normal(100, 32).double()
    result = exact * 1.001
    result[7] = 0
    exact[7] *= 1e-3
    found = errors(result, exact)
    assert found.total < largest_error(1)
    with pytest.raises(InaccurateError, match=r"100\.0% in the worst token"):
        check_error(found, ErrorSum(), 1)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_no_number_is_no_result(wrong: float) -> None:
    exact = normal(4, 8).double()
    result = exact * 1.001
    result[1, 2] = wrong
    with pytest.raises(InaccurateError):
        check_error(errors(result, exact), ErrorSum(), 1)


def test_layers_that_took_no_part_are_no_proof() -> None:
    exact = normal(4, 8).double()
    with pytest.raises(InaccurateError):
        check_error(errors(exact.clone(), exact), ErrorSum(), 1)


def test_rows_that_others_wrote_do_not_dilute() -> None:
    exact = normal(8, 16).double()
    result = exact.clone()
    result[0] *= 1.1
    assert errors(result, exact).total == pytest.approx(0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_shapes_dtypes_and_pairs_are_kept(dtype: torch.dtype) -> None:
    one = layer(64, 80)
    out = Fp8Linear(one.weight, one.bias)(normal(2, 3, 64).to(dtype))
    assert (out.shape, out.dtype) == ((2, 3, 80), dtype)
    pair = Fp8Linear(one.weight, None, returns_bias=True)(normal(0, 64).to(dtype))
    assert (pair[0].shape, pair[0].dtype, pair[1]) == ((0, 80), dtype, None)


def test_rows_are_quantised_as_they_are_gathered() -> None:
    x, one = normal(9, 16), layer(64, 24)
    fast = Fp8Linear(one.weight, one.bias)
    index = torch.tensor([[0, 3, -1, 8], [1, 1, 2, 5]], dtype=torch.int32)
    gain, shift = normal(64, seed=5), normal(64, seed=6)
    before = runtime.calls()
    rows = gather_for(fast, x, index, gain, shift, norm="layer")
    ran = {key[0] for key, count in runtime.calls().items() if count > before.get(key, 0)}
    assert isinstance(rows, QuantisedRows)
    assert ran == {"gather_norm"}
    plain = gather_for(one, x, index, gain, shift, norm="layer")
    assert torch.equal(plain, gather_norm(x, index, gain, shift, norm="layer"))
    assert relative_error(fast(rows), fast(plain).double()) < 1e-6
    source = torch.tensor([2, -1, 0], dtype=torch.int32)
    packed = rows_for(Fp8Linear(layer(16, 8).weight, None))(x, source)
    assert relative_error(
        packed.values.float() * packed.scales[:, None], pack_rows(x, source).double()
    ) == pytest.approx(0.026, abs=0.01)
