"""TinyLLaVA of February 2024, laid out as LLaVA is.

Facts: TinyLLaVA/TinyLLaVA_Factory at 2d2105f, tinyllava/model/multimodal_encoder/siglip_encoder.py
(the last layer deleted, every patch kept), tinyllava/model/builder.py (the separate tower wins) and
README.md, which says `phi` for 3.1B and 2.0B and `v1` for 1.5B.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA, PHI, STABLELM
from sensorium.model_adapters.prompts import TINYLLAVA, VICUNA_V1
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="tinyllava-bench",
    title="TinyLLaVA of February 2024",
    checkpoints=("bczhou/TinyLLaVA-3.1B", "bczhou/TinyLLaVA-2.0B", "bczhou/TinyLLaVA-1.5B"),
    language_models={
        "TinyLlavaPhiForCausalLM": PHI,
        "LlavaPhiForCausalLM": PHI,
        "TinyLlavaStablelmForCausalLM": STABLELM,
        "TinyLlavaLlamaForCausalLM": LLAMA,
    },
    prompts={"": TINYLLAVA, "TinyLlavaLlamaForCausalLM": VICUNA_V1},
    tower=Tower(kinds=("siglip",), select_layer=-2, keep_class_token=True, inside="ignored"),
    projectors=("mlp",),
    aspects={"pad": "pad"},
    tokenizer=Tokenizer(slow_llama=True),
    limits=(
        "one image in training, several are taken; 2.0B needs tokenizer files that transformers "
        "reads, not the `tokenization_arcade100k.py` of its authors"
    ),
    proof="tests/families/test_tinyllava_bench.py",
)
