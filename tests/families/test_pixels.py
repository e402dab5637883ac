"""Normalising folded into a patch embedding is the same map, to rounding."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="an engine extra brings it")
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.mark.parametrize("bias", [True, False])
def test_folding_changes_nothing_but_the_input(bias: bool) -> None:
    from sensorium.model_adapters.engine.pixels import centred, fold_normalisation, normalised

    torch.manual_seed(1)
    embedding = torch.nn.Conv2d(3, 16, 14, stride=14, bias=bias)
    pixels = torch.randint(0, 256, (2, 3, 56, 56), dtype=torch.uint8)
    with torch.inference_mode():
        before = embedding(normalised(pixels, MEAN, STD, torch.float32))
        fold_normalisation(embedding, MEAN, STD)
        after = embedding(centred(pixels, torch.float32))
    assert torch.allclose(before, after, atol=2e-5)


def test_centred_pixels_between_two_levels_are_rounded_once() -> None:
    from sensorium.model_adapters.engine.pixels import centred

    between = torch.tensor([-3.7, 130.123, 255.4])
    exact = (between.double() - 128) / 128
    assert torch.equal(centred(between, torch.bfloat16), exact.to(torch.bfloat16))
    assert torch.allclose(centred(between, torch.float32).double(), exact, atol=1e-7)


def test_centred_pixels_are_exact_in_bfloat16() -> None:
    from sensorium.model_adapters.engine.pixels import centred

    levels = torch.arange(256, dtype=torch.uint8)
    exact = centred(levels, torch.float64)
    assert torch.equal(centred(levels, torch.bfloat16).double(), exact)
