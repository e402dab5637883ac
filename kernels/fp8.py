"""Projection in e4m3 numbers: opt-in, and only for features it was measured on.

Rows are quantised in the gathering pass, one scale a row; weights once, one scale an output column.
Errors of about 4e-2 are usual on normal data; outlier channels of a real tower may make them much
larger, so `measure_error` runs on the model's own features before anything is switched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sensorium.kernels.gather_norm import gather_norm_fp8
from sensorium.kernels.gather_norm.naive import quantise_rows

__all__ = ["ErrorReport", "Fp8Mlp", "InaccurateError", "build_fp8", "measure_error"]

# Errors above this are not quantisation noise any more.
LARGEST_ERROR = 0.05


class InaccurateError(ValueError):
    """The features of this model do not survive e4m3."""


@dataclass(frozen=True)
class ErrorReport:
    """Relative RMS errors against float64: of e4m3, and of the model's own dtype."""

    fp8: float
    exact_dtype: float


class Fp8Mlp(nn.Module):
    """Linear layers with an activation between them, in e4m3, in place of the projector's own."""

    def __init__(self, layers: Sequence[nn.Linear], activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation
        self.depth = len(layers)
        for number, layer in enumerate(layers):
            values, scales = quantise_rows(layer.weight.detach().float())
            self.register_buffer(f"weight_{number}", values)
            self.register_buffer(f"scale_{number}", scales)
            self.register_buffer(f"bias_{number}", layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[..., width]` to `[..., out]`."""
        rows = x.reshape(-1, x.shape[-1])
        for number in range(self.depth):
            rows = self.activation(rows) if number else rows
            every = torch.arange(len(rows), dtype=torch.int32, device=x.device)[:, None]
            values, scales = gather_norm_fp8(rows, every)
            rows = _multiply(
                values,
                scales,
                getattr(self, f"weight_{number}"),
                getattr(self, f"scale_{number}"),
                getattr(self, f"bias_{number}"),
                x.dtype,
            )
        return rows.view(*x.shape[:-1], rows.shape[-1])


def _multiply(
    values: torch.Tensor,
    scales: torch.Tensor,
    weight: torch.Tensor,
    weight_scales: torch.Tensor,
    bias: torch.Tensor | None,
    dtype: torch.dtype,
) -> torch.Tensor:
    if values.device.type == "cuda":
        # cuBLASLt adds a bias of the output's dtype, and scales rows only for bfloat16 outputs.
        return torch._scaled_mm(
            values,
            weight.t(),
            scale_a=scales[:, None],
            scale_b=weight_scales[None, :],
            bias=None if bias is None else bias.bfloat16(),
            out_dtype=torch.bfloat16,
        ).to(dtype)
    product = (values.float() @ weight.float().t()) * scales[:, None] * weight_scales[None, :]
    return (product if bias is None else product + bias.float()).to(dtype)


def measure_error(
    layers: Sequence[nn.Linear], activation: nn.Module, features: torch.Tensor
) -> ErrorReport:
    """What e4m3 costs on `features` `[rows, width]`, beside what the model's dtype costs anyway."""
    exact, plain = features.double(), features
    for number, layer in enumerate(layers):
        exact = activation(exact) if number else exact
        plain = activation(plain) if number else plain
        bias = None if layer.bias is None else layer.bias.double()
        exact = nn.functional.linear(exact, layer.weight.double(), bias)
        plain = layer(plain)
    fast = Fp8Mlp(layers, activation)(features)
    size = exact.norm()
    return ErrorReport(
        float((fast.double() - exact).norm() / size), float((plain.double() - exact).norm() / size)
    )


def build_fp8(
    layers: Sequence[nn.Linear],
    activation: nn.Module,
    features: torch.Tensor,
    *,
    largest_error: float = LARGEST_ERROR,
) -> Fp8Mlp:
    """The projector in e4m3, if the features of real images pass; InaccurateError if not."""
    report = measure_error(layers, activation, features)
    if not report.fp8 <= largest_error:
        raise InaccurateError(
            f"e4m3 errs by {report.fp8:.1%} on these features (without: {report.exact_dtype:.1%}); "
            f"at most {largest_error:.1%} is allowed: leave the projector as it is"
        )
    return Fp8Mlp(layers, activation)
