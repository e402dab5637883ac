"""Resizing without antialiasing is torch's, to rounding, and takes little memory."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from sensorium.model_adapters.plain_resizing import plain_crop

torch = pytest.importorskip("torch", reason="an engine extra brings it")
SHAPES = [(64, 96), (97, 61), (20, 901), (901, 20), (1, 1), (56, 56), (9, 8), (300, 400)]


def noise(rows: int, columns: int) -> Any:
    random = np.random.default_rng(rows + columns)
    return random.integers(0, 256, (rows, columns, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bicubic_is_torchvisions(shape: tuple[int, int]) -> None:
    from torchvision import transforms

    picture = noise(*shape)
    whole = torch.from_numpy(picture).permute(2, 0, 1).float()
    bicubic = transforms.InterpolationMode.BICUBIC
    done = transforms.CenterCrop(56)(transforms.Resize(56, bicubic, antialias=False)(whole))
    found = plain_crop(picture, 56, "plain_bicubic")
    assert np.abs(found - done.permute(1, 2, 0).numpy()).max() < 0.01
    if min(shape) > 100:
        smooth = transforms.CenterCrop(56)(transforms.Resize(56, bicubic, antialias=True)(whole))
        assert np.abs(found - smooth.permute(1, 2, 0).numpy()).max() > 20


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bilinear_is_torchs(shape: tuple[int, int]) -> None:
    picture, (height, width) = noise(*shape), shape
    size = (56, math.floor(float(width) / height * 56))
    if width < height:
        size = (math.floor(float(height) / width * 56), 56)
    frame = torch.from_numpy(picture).permute(2, 0, 1).float()[None]
    done = torch.nn.functional.interpolate(frame, size, mode="bilinear", align_corners=False)
    top, left = (round((edge - 56) / 2.0) for edge in size)
    kept = done[0, :, top : top + 56, left : left + 56].permute(1, 2, 0).numpy()
    assert np.abs(plain_crop(picture, 56, "plain_bilinear") - kept).max() < 0.01


@pytest.mark.parametrize("shape", [(1, 65_000), (65_000, 1)], ids=str)
def test_the_thinnest_pictures_take_little_memory(shape: tuple[int, int]) -> None:
    picture = noise(*shape)
    tracemalloc.start()
    try:
        assert plain_crop(picture, 224, "plain_bicubic").shape == (224, 224, 3)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
