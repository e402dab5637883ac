"""Algebra done once when weights load, where it makes a kernel unnecessary.

Everything is computed in float64 and rounded once to the dtype of the weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = [
    "fold_input_map",
    "fold_layer_norm",
    "fold_scale",
    "project_side_by_side",
    "unfold_to_squares",
]


def fold_scale(
    weight: torch.Tensor, bias: torch.Tensor | None, scale: float
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """A linear layer whose output is scaled: PaliGemma divides by sqrt(hidden) after projecting."""
    scaled = (weight.double() * scale).to(weight.dtype)
    return scaled, None if bias is None else (bias.double() * scale).to(bias.dtype)


def fold_layer_norm(
    weight: torch.Tensor, bias: torch.Tensor | None, gain: torch.Tensor, shift: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A linear layer `[out, in]` that takes what the norm gives before its affine part `[in]`."""
    exact = weight.double()
    moved = exact @ shift.double()
    total = moved if bias is None else moved + bias.double()
    return (exact * gain.double()).to(weight.dtype), total.to(weight.dtype)


def unfold_to_squares(weight: torch.Tensor, edge: int) -> torch.Tensor:
    """Columns of a layer after `unfold` (channel by channel) in the order of gathered squares.

    Mistral-3 and DeepSeek-VL2 project `functional.unfold(grid, edge, stride=edge)`, whose columns
    count `channel * edge**2 + place`; `plans.squares` gives `place * channels + channel`.
    """
    out, columns = weight.shape
    return weight.view(out, columns // edge**2, edge**2).transpose(1, 2).reshape(out, columns)


def project_side_by_side(
    inputs: Sequence[torch.Tensor],
    layers: Sequence[tuple[torch.Tensor, torch.Tensor]],
) -> torch.Tensor:
    """Each input's projection beside the others', written in place instead of concatenated.

    DeepSeek-VL's hybrid tower: the first layer of each branch gives half of the columns. `inputs`
    are `[rows, width]`, `layers` weight `[columns, width]` and bias `[columns]` of each.
    """
    widths = [weight.shape[0] for weight, _ in layers]
    out = inputs[0].new_empty(inputs[0].shape[0], sum(widths))
    slices = out.split(widths, dim=1)
    for x, (weight, bias), place in zip(inputs, layers, slices, strict=True):
        torch.addmm(bias, x, weight.t(), out=place)
    return out


def fold_input_map(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    scale: Sequence[float],
    shift: Sequence[float],
) -> tuple[torch.Tensor, torch.Tensor]:
    """A patch embedding of `x * scale + shift`, channel by channel, as one of `x` itself.

    `weight` is `[out, channels, height, width]` of a convolution without padding: padded zeros
    would not be zeros of the map's result. Returns weight and bias `[out]`. Raises ValueError when
    there is not one scale and one shift a channel.
    """
    channels = weight.shape[1]
    if len(scale) != channels or len(shift) != channels:
        raise ValueError(
            f"{channels} channels need as many scales and shifts, got {scale} and {shift}"
        )
    exact = weight.double()
    scales = torch.tensor(scale, dtype=torch.float64, device=weight.device)
    shifts = torch.tensor(shift, dtype=torch.float64, device=weight.device)
    moved = exact.sum((2, 3)) @ shifts
    total = moved if bias is None else moved + bias.double()
    return (exact * scales[:, None, None]).to(weight.dtype), total.to(weight.dtype)
