"""yuren: Baichuan-7B in Llama's layout with pictures after the question.

Facts: pleisto/yuren-baichuan-7b, libs/yuren_core/src/yuren_core/{multimodal_llama,constants}.py,
apps/webui/src/webui/{app,utils}.py, tools/prepare_base_model. Its transformers, of June 2023,
strips the spaces around added tokens, so there are none here.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import YUREN
from sensorium.model_adapters.spec import FamilySpec, Tokenizer

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="yuren",
    title="yuren (multimodal)",
    checkpoints=("pleisto/yuren-baichuan-7b",),
    language_models={"MultimodalLlamaForCausalLM": LLAMA},
    prompts={"": YUREN},
    projectors=("linear",),
    tokenizer=Tokenizer(slow_llama=True, cuts_vocabulary=False),
    trained_tokens={},
    generation={"temperature": 0.42},
    read=lambda raw: {"mm_vision_select_layer": -1, **raw},
    limits=(
        "one image a turn in the authors' code, several are taken; the date that the authors' "
        "script puts at the end of the system text is left out; the tower, "
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K, must be at hand (`--vision-tower`)"
    ),
    unconfirmed="its config.json and tokenizer files were not seen, only the code that reads them",
    proof="tests/families/test_yuren.py",
)
