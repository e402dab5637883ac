"""InternVL's features, by our method and by vLLM's, in both orders of its pixel shuffle."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sensorium.kernels.accuracy import TOLERANCE, relative_error
from tests.families.tiny import draw, draw_weights

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]
GRID, WIDTH, HIDDEN = 6, 20, 24


class Features(nn.Module):
    """A tower whose features are given."""

    def __init__(self, features: torch.Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.features


def build(version: str, features: torch.Tensor) -> Any:
    from sensorium.model_adapters.engine.native.internvl import InternVL

    model = InternVL.__new__(InternVL)
    nn.Module.__init__(model)
    model.ps_version, model.downsample_ratio = version, 0.5
    model.vision_model = Features(features)
    model.mlp1 = nn.Sequential(
        nn.LayerNorm(4 * WIDTH),
        nn.Linear(4 * WIDTH, HIDDEN),
        nn.GELU(),
        nn.Linear(HIDDEN, HIDDEN),
    )
    draw_weights(model.mlp1, 3)
    return model


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("tiles", [1, 3])
def test_features_are_those_of_vllm(version: str, tiles: int) -> None:
    from vllm.model_executor.models.internvl import InternVLChatModel

    model = build(version, draw((tiles, GRID * GRID + 1, WIDTH), 5) + 2)
    with torch.inference_mode():
        ours = model.extract_feature(torch.empty(0))
        theirs = InternVLChatModel.extract_feature(model, torch.empty(0))
    assert ours.shape == (tiles, GRID * GRID // 4, HIDDEN)
    assert relative_error(ours, theirs.double()) < TOLERANCE[torch.float32]


def test_tokens_are_told_apart() -> None:
    """Equality would say nothing of features that are all alike."""
    model = build("v2", draw((1, GRID * GRID + 1, WIDTH), 5))
    with torch.inference_mode():
        tokens = model.extract_feature(torch.empty(0))[0]
    assert len({round(float(value), 4) for value in tokens[:, 0]}) == GRID * GRID // 4
