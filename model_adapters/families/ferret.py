"""Ferret, answering in text: points and boxes are written as numbers, no region features.

Facts: apple/ml-ferret, ferret/conversation.py, ferret/model/{builder,make_delta,apply_delta}.py,
ferret/eval/model_gpt4eval_3newclass.py (squashed pictures), experiments/ferret_7b_train.sh (no
tokens around an image; the tower is not trained, and saved beside the model).
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import FERRET
from sensorium.model_adapters.spec import FamilySpec, Tokenizer

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="ferret",
    title="Ferret (text)",
    checkpoints=("ferret-{7b,13b}-delta (Apple's archives, over lmsys/vicuna-{7b,13b}-v1.3)",),
    language_models={"FERRETLlamaForCausalLM": LLAMA},
    prompts={"": FERRET},
    projectors=("linear",),
    aspects={"*": "resize"},
    tokenizer=Tokenizer(slow_llama=True),
    trained_tokens={
        "mm_use_im_patch_token": ("<im_patch>",),
        "im_region_fea_token": ("<region_fea>",),
    },
    generation={"temperature": 0.2},
    weights=(
        ("model.region_geo_sampler.", None),
        ("model.region_fea_adapter.", None),
        *FamilySpec.weights,
    ),
    limits=(
        "text only: <region_fea> reads no region; coordinates are on a canvas of 1000x1000, so a "
        "question must scale its own; one image in training, several are taken; the delta is "
        "merged while loading (`--base-model`); of its config the training script's flags were "
        "seen, not the file"
    ),
    proof="tests/families/test_ferret.py",
)
