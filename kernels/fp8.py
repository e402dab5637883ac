"""Projection in e4m3 numbers: opt-in, and only for features it was measured on.

Rows are quantised as they are gathered, one scale a row; weights once, one scale an output column.
Of normally distributed numbers a product keeps an error of 3.7 % that way, which adds up over
layers; outlier channels of a real tower can make it much larger, so `check_error` compares with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sensorium.kernels import runtime
from sensorium.kernels.gather_norm import Norm, gather_norm, gather_norm_fp8
from sensorium.kernels.gather_norm.naive import quantise_rows
from sensorium.kernels.plans import all_rows

__all__ = [
    "FOLDER_VARIABLE",
    "OPERATION",
    "ErrorSum",
    "Fp8Linear",
    "InaccurateError",
    "QuantisedRows",
    "check_error",
    "gather_for",
    "largest_error",
    "rows_for",
]

FOLDER_VARIABLE = "SENSORIUM_PROJECTION_FP8"
"""Names the folder of media on which a model's projector is measured; unset: no e4m3."""
OPERATION = "fp8 projection"
"""The decision, among the counts of operators."""
# Of one product of normally distributed numbers: 2.6 % from the rows and as much from the weights.
_NOISE = 0.037
# No token may be off by more, however many others are right.
_LARGEST_TOKEN_ERROR = 0.25
_ALIGNMENT = 16


class InaccurateError(ValueError):
    """The features of this model do not survive e4m3."""


@dataclass(frozen=True)
class QuantisedRows:
    """e4m3 `values` `[rows, width]`, float32 `scales` `[rows]`, and the dtype they stand for."""

    values: torch.Tensor
    scales: torch.Tensor
    dtype: torch.dtype


class Fp8Linear(nn.Module):
    """A linear layer in e4m3, in the place of one with weight `[out, width]` and bias `[out]`.

    `returns_bias` is for layers of vLLM, which answer with a pair. Raises ValueError for sizes that
    the matrix units do not take.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, *, returns_bias: bool = False
    ) -> None:
        super().__init__()
        if weight.is_cuda and any(size % _ALIGNMENT for size in weight.shape):
            raise ValueError(
                f"e4m3 products need sizes that {_ALIGNMENT} divides, got a layer of "
                f"{list(weight.shape)}"
            )
        values, scales = quantise_rows(weight.detach().float())
        self.register_buffer("weight", values)
        self.register_buffer("scale", scales)
        self.register_buffer("bias", bias)
        self.returns_bias = returns_bias

    def forward(self, x: torch.Tensor | QuantisedRows) -> Any:
        """`[..., out]` from `[..., width]`, or `[rows, out]` from rows that are quantised."""
        if isinstance(x, QuantisedRows):
            out = self._multiply(x)
        else:
            rows = x.reshape(-1, x.shape[-1])
            every = all_rows(1, len(rows), 0, x.device)
            quantised = QuantisedRows(*gather_norm_fp8(rows, every), x.dtype)
            out = self._multiply(quantised).view(*x.shape[:-1], len(self.scale))
        return (out, None) if self.returns_bias else out

    def _multiply(self, rows: QuantisedRows) -> torch.Tensor:
        if not len(rows.values):
            return self.scale.new_empty(0, len(self.scale), dtype=rows.dtype)
        if rows.values.is_cuda and runtime.mode() != "reference":
            # cuBLASLt adds a bias of the output's dtype, and scales rows only for bfloat16 outputs.
            product: torch.Tensor = torch._scaled_mm(
                rows.values,
                self.weight.t(),
                scale_a=rows.scales[:, None],
                scale_b=self.scale[None, :],
                bias=None if self.bias is None else self.bias.bfloat16(),
                out_dtype=torch.bfloat16,
            )
            return product.to(rows.dtype)
        product = rows.values.float() @ self.weight.float().t()
        product = product * rows.scales[:, None] * self.scale[None, :]
        return (product if self.bias is None else product + self.bias.float()).to(rows.dtype)


def gather_for(
    layer: nn.Module,
    x: torch.Tensor,
    index: torch.Tensor,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    *,
    norm: Norm = "none",
    eps: float = 1e-6,
    pool: bool = False,
) -> torch.Tensor | QuantisedRows:
    """What `layer` takes of the rows: as of `gather_norm`, quantised on the way for an e4m3 one."""
    options: dict[str, Any] = {"norm": norm, "eps": eps, "pool": pool}
    if isinstance(layer, Fp8Linear):
        return QuantisedRows(*gather_norm_fp8(x, index, weight, bias, **options), x.dtype)
    return gather_norm(x, index, weight, bias, **options)


def rows_for(layer: nn.Module) -> Callable[[torch.Tensor, torch.Tensor], Any]:
    """As `gather_for` of rows `[tokens]` without a norm: in the place of `pack_rows`."""
    return lambda x, source: gather_for(layer, x, source[:, None])


class ErrorSum:
    """Relative RMS error of tokens against exact ones, all together and the worst of them."""

    def __init__(self) -> None:
        self._difference = self._size = self.worst = 0.0

    def add(self, result: torch.Tensor, exact: torch.Tensor) -> None:
        """Both `[tokens, hidden]`; tokens that are the same to the last bit came from elsewhere."""
        kept = (result != exact).any(1)
        wide = exact[kept].double()
        off = (result[kept].double() - wide).norm(dim=1)
        size = wide.norm(dim=1)
        self._difference += float(off.square().sum())
        self._size += float(size.square().sum())
        # Written so that NaN is the worst.
        if len(off) and not float((off / size).max()) <= self.worst:
            self.worst = float((off / size).max())

    @property
    def total(self) -> float:
        """Of all tokens so far; 0 without any."""
        return 0.0 if self._size == 0 else math.sqrt(self._difference / self._size)


def largest_error(layers: int) -> float:
    """What `layers` layers may add: a quarter more than of normally distributed numbers."""
    return 1.25 * _NOISE * math.sqrt(layers)


def check_error(fp8: ErrorSum, own: ErrorSum, layers: int) -> str:
    """A sentence on the errors of e4m3 and of the model's own dtype; InaccurateError if too large.

    Nothing measured is too large as well.
    """
    said = (
        f"e4m3 errs by {fp8.total:.2%} on these media, {fp8.worst:.1%} in the worst token "
        f"(the model's dtype: {own.total:.2%})"
    )
    allowed = largest_error(layers)
    if 0 < fp8.total <= allowed and fp8.worst <= _LARGEST_TOKEN_ERROR:
        return said
    raise InaccurateError(
        f"{said}; at most {allowed:.2%}, and {_LARGEST_TOKEN_ERROR:.0%} in a token, are allowed"
    )
