"""Strict loading where a process holds only some layers of a model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.families.proof import family_marks

pytestmark = family_marks


def test_a_base_models_tables_grow_by_new_tokens_only() -> None:
    from sensorium.model_adapters.engine.merging import grow_tables

    tables = {
        "@base:a@lm_head.weight": (5, 2),
        "@base:a@model.embed_tokens.weight": (3, 2),
        "@base:a@model.norm.weight": (5,),
        "lm_head.weight": (5, 2),
    }
    weights = [(name, torch.ones(shape)) for name, shape in tables.items()]
    grown = dict(grow_tables(weights, 7, 3, lambda name: name.startswith("@base:")))
    rows = [len(tensor) for tensor in grown.values()]
    assert rows == [7, 3, 5, 5]  # four rows are more than three tokens
    assert grown["@base:a@lm_head.weight"][5:].abs().sum() == 0


def test_layers_of_other_pipeline_ranks_are_passed_over() -> None:
    from vllm.model_executor.models.utils import PPMissingLayer

    from sensorium.model_adapters.engine.translator import Translator
    from sensorium.model_adapters.engine.weights import SourcedName, load_strictly
    from sensorium.model_adapters.errors import CheckpointError
    from sensorium.model_adapters.weight_names import Placement

    def locate(name: str) -> SourcedName:
        return SourcedName(name, "model.bin", Placement(name))

    model = nn.Module()
    model.layers = nn.ModuleList([nn.Linear(2, 2, bias=False), PPMissingLayer()])
    weights = [(f"layers.{n}.weight", torch.full((2, 2), float(n))) for n in range(2)]
    loaded = load_strictly(model, weights, locate, str, Translator(None, "", 2))
    assert loaded == {"layers.0.weight"}
    weights.append(("layers.2.weight", torch.zeros(2, 2)))
    with pytest.raises(CheckpointError, match=r"layers\.2\.weight"):
        load_strictly(model, weights, locate, str, Translator(None, "", 2))
