"""Load-time algebra: exact in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from sensorium.kernels.accuracy import relative_error
from sensorium.kernels.fold import (
    fold_input_map,
    fold_layer_norm,
    fold_scale,
    project_side_by_side,
    unfold_to_squares,
)
from sensorium.kernels.gather_norm import gather_norm
from sensorium.kernels.plans import squares

EXACT = 1e-13


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def test_a_scale_after_a_layer_goes_into_it() -> None:
    x, weight, bias = normal(5, 12), normal(7, 12, seed=1), normal(7, seed=2)
    scale = 1 / math.sqrt(2048)
    expected = functional.linear(x, weight, bias) * scale
    assert relative_error(functional.linear(x, *fold_scale(weight, bias, scale)), expected) < EXACT
    assert fold_scale(weight, None, scale)[1] is None


@pytest.mark.parametrize("bias", [normal(7, seed=2), None], ids=["bias", "without"])
def test_the_affine_part_of_a_norm_goes_into_the_next_layer(bias: torch.Tensor | None) -> None:
    x, weight = normal(5, 12), normal(7, 12, seed=1)
    gain, shift = normal(12, seed=3), normal(12, seed=4)
    expected = functional.linear(functional.layer_norm(x, (12,), gain, shift), weight, bias)
    folded = fold_layer_norm(weight, bias, gain, shift)
    result = functional.linear(functional.layer_norm(x, (12,)), *folded)
    assert relative_error(result, expected) < EXACT


@pytest.mark.parametrize("edge", [2, 3])
def test_a_layer_after_unfold_takes_gathered_squares(edge: int) -> None:
    images, grid, width = 2, 6, 5
    x, weight = normal(images, grid * grid, width), normal(7, width * edge**2, seed=1)
    image = x.transpose(1, 2).reshape(images, width, grid, grid)
    expected = functional.unfold(image, edge, stride=edge).transpose(1, 2).flatten(0, 1) @ weight.T
    index = squares(images, grid, grid, edge, 0, x.device)
    result = gather_norm(x.flatten(0, 1), index) @ unfold_to_squares(weight, edge).T
    assert relative_error(result, expected) < EXACT


def test_branches_are_written_side_by_side() -> None:
    inputs = [normal(5, 12), normal(5, 8, seed=1)]
    layers = [(normal(6, 12, seed=2), normal(6)), (normal(3, 8, seed=3), normal(3))]
    parts = [functional.linear(x, *layer) for x, layer in zip(inputs, layers, strict=True)]
    assert relative_error(project_side_by_side(inputs, layers), torch.cat(parts, dim=1)) < EXACT


class TestInputMap:
    """As for pixels: `(pixel / 255 - mean) / std`."""

    STD, MEAN = (0.27, 0.26, 0.28), (0.48, 0.46, 0.41)
    SCALE = tuple(1 / (255 * std) for std in STD)
    SHIFT = tuple(-mean / std for mean, std in zip(MEAN, STD, strict=True))
    PIXELS = torch.randint(0, 256, (2, 3, 28, 28), generator=torch.Generator().manual_seed(0))
    WEIGHT = normal(6, 3, 14, 14, seed=1)

    def mapped(self, bias: torch.Tensor | None) -> torch.Tensor:
        scale, shift = (
            torch.tensor(values, dtype=torch.float64)[:, None, None]
            for values in (self.SCALE, self.SHIFT)
        )
        return functional.conv2d(self.PIXELS * scale + shift, self.WEIGHT, bias, stride=14)

    @pytest.mark.parametrize("bias", [normal(6, seed=2), None], ids=["bias", "without"])
    def test_raw_pixels_give_the_same_patches(self, bias: torch.Tensor | None) -> None:
        folded = fold_input_map(self.WEIGHT, bias, self.SCALE, self.SHIFT)
        result = functional.conv2d(self.PIXELS.double(), *folded, stride=14)
        assert relative_error(result, self.mapped(bias)) < EXACT

    def test_float32_weights_lose_no_more_than_float32(self) -> None:
        folded = fold_input_map(self.WEIGHT.float(), None, self.SCALE, self.SHIFT)
        result = functional.conv2d(self.PIXELS.float(), *folded, stride=14)
        assert relative_error(result, self.mapped(None)) < 2e-6

    def test_one_scale_a_channel(self) -> None:
        with pytest.raises(ValueError, match="3 channels need"):
            fold_input_map(self.WEIGHT, None, (0.5,), (0.5,))
