"""Pools moved before the last layer of a projector give what they give behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sensorium.kernels.accuracy import relative_error
from sensorium.model_adapters.engine.packing import Halves, project, split
from sensorium.model_adapters.layouts import NEWLINE, Arrangement, Pool

WIDTH, HIDDEN, EDGE = 6, 10, 4


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN)
    return nn.Sequential(*layers).double().requires_grad_(False)


def arrangement(*pools: Pool) -> Arrangement:
    """A square in full and another one pooled, its tokens turned around, with two newlines."""
    made = 2 * EDGE**2 + np.arange(4)[::-1]
    rows = np.concatenate([np.arange(EDGE**2), [NEWLINE], made if pools else made - 4, [NEWLINE]])
    return Arrangement(2, rows, pools)


def pool(mode: Any) -> Pool:
    square = EDGE**2 + np.arange(EDGE**2).reshape(1, EDGE, EDGE)
    return Pool(square, mode, (2, 2))


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(4, EDGE**2, WIDTH, generator=generator).double()
    return features, torch.randn(HIDDEN, generator=generator).double()


@pytest.mark.parametrize("mode", ["bilinear", "adaptive", "average", "max"])
@pytest.mark.parametrize("projector", [mlp(), mlp()[0]], ids=["mlp", "linear"])
def test_pooling_first_is_exact(projector: nn.Module, mode: str) -> None:
    features, newline = inputs()
    arrangements = [arrangement(pool(mode)), arrangement()]
    keep = nn.Identity()
    behind = project(features, Halves(projector, keep, keep), arrangements, newline)
    halves = split(projector, arrangements, by_row=True)
    first = project(features, halves, arrangements, newline)
    assert (halves.head is projector) == (mode == "max")
    for one, other in zip(first, behind, strict=True):
        assert relative_error(one, other) < 1e-14
        assert torch.equal(one[EDGE**2], newline)


def test_the_last_layer_sees_only_rows_that_become_tokens() -> None:
    features, newline = inputs()
    projector, seen = mlp(), []
    projector[-1].register_forward_pre_hook(lambda layer, rows: seen.append(rows[0].shape))
    arrangements = [arrangement(pool("bilinear"))]
    project(features[:2], split(projector, arrangements, by_row=True), arrangements, newline)
    assert seen == [(EDGE**2 + 4 + 2, HIDDEN)]


def test_a_pool_does_not_pass_an_activation() -> None:
    """Else moving it before the whole projector would be exact, and it is not."""
    features, newline = inputs()
    arrangements = [arrangement(pool("bilinear"))]
    projector, keep = mlp(), nn.Identity()
    behind = project(features[:2], Halves(projector, keep, keep), arrangements, newline)
    wrong = project(features[:2], Halves(None, projector, projector[0]), arrangements, newline)
    assert relative_error(wrong[0], behind[0]) > 1e-3


def test_what_pooling_cannot_stand_before_is_projected_whole() -> None:
    normed = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.LayerNorm(HIDDEN))
    pooled = [arrangement(pool("average"))]
    assert split(normed, pooled, by_row=True).head is normed
    assert split(mlp(), [arrangement()], by_row=False).head is not None
    assert split(normed, [arrangement()], by_row=True).head is None
