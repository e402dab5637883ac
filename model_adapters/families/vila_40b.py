"""VILA-1.5-40b: Yi-34B, and InternViT-6B as its tower.

Facts: NVlabs/VILA at 637d49d, llava/model/multimodal_encoder/intern_encoder.py and intern/,
llava/conversation.py (`hermes-2`), README.md.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import vila
from sensorium.model_adapters.prompts import CHATML_DIRECT
from sensorium.model_adapters.spec import Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = replace(
    vila.SPEC,
    name="vila-40b",
    title="VILA-1.5-40b",
    checkpoints=("Efficient-Large-Model/VILA1.5-40b",),
    prompts={"": CHATML_DIRECT},
    tower=Tower(kinds=("intern_vit",)),
    tokenizer=Tokenizer(slow_llama=True, folder="llm"),
    proof="tests/families/test_vila_40b.py",
)
