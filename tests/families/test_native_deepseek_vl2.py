"""DeepSeek-VL2's projector, by our class and by vLLM's, at grids and ratios not yet published.

test_native.py has the model in an engine, where weights are drawn in our order.
"""

from __future__ import annotations

import pytest
import torch

from sensorium.kernels.accuracy import TOLERANCE, relative_error
from tests.families.tiny import draw, draw_weights

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize(("edge", "ratio"), [(6, 2), (5, 2), (7, 3)])
def test_features_are_those_of_vllm(edge: int, ratio: int) -> None:
    from vllm.model_executor.models.deepseek_vl2 import MlpProjector
    from vllm.transformers_utils.configs.deepseek_vl2 import MlpProjectorConfig

    from sensorium.model_adapters.engine.native.deepseek_vl2 import GatheringProjector

    config = MlpProjectorConfig(
        projector_type="downsample_mlp_gelu",
        input_dim=20,
        n_embed=24,
        depth=2,
        mlp_ratio=1,
        downsample_ratio=ratio,
    )
    projector = MlpProjector(config)
    draw_weights(projector, 3)
    features = draw((3, edge * edge, 20), 5) + 2
    with torch.inference_mode():
        theirs = projector(features)
        projector.__class__ = GatheringProjector
        wrong = projector(features)
        projector.reorder()
        ours = projector(features)
    assert ours.shape == theirs.shape
    assert relative_error(ours, theirs.double()) < TOLERANCE[torch.float32]
    assert relative_error(wrong, theirs.double()) > 100 * TOLERANCE[torch.float32]


def test_columns_are_put_into_order_when_weights_load(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.model_executor.models.deepseek_vl2 import DeepseekVLV2ForCausalLM
    from vllm.model_executor.models.mistral3 import Mistral3ForConditionalGeneration

    from sensorium.model_adapters.engine.native import deepseek_vl2, mistral3

    for model, theirs, place, kind in (
        (
            deepseek_vl2.DeepseekVL2,
            DeepseekVLV2ForCausalLM,
            "projector",
            deepseek_vl2.GatheringProjector,
        ),
        (
            mistral3.Mistral3,
            Mistral3ForConditionalGeneration,
            "multi_modal_projector",
            mistral3.GatheringProjector,
        ),
    ):
        reordered: list[object] = []
        monkeypatch.setattr(theirs, "load_weights", lambda self, weights: {"loaded"})
        monkeypatch.setattr(kind, "reorder", lambda self, seen=reordered: seen.append(self))
        made, projector = model.__new__(model), kind.__new__(kind)
        for module in (made, projector):
            torch.nn.Module.__init__(module)
        made.register_parameter("weight", torch.nn.Parameter(torch.zeros(1)))
        setattr(made, place, projector)
        assert made.load_weights([]) == {"loaded"}
        assert reordered == [projector]
