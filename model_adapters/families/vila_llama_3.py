"""VILA-1.5 on Llama-3-8B, of May 2024 and as mended in September.

Facts: NVlabs/VILA, llava/conversation.py at 1c88211 (the answer's header says "system") and at
637d49d; README.md, which names the mended checkpoint since 8f60a53.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import vila
from sensorium.model_adapters.prompts import VILA_LLAMA_3, VILA_LLAMA_3_MAY

__all__ = ["SPEC"]

SPEC = replace(
    vila.SPEC,
    name="vila-llama-3",
    title="VILA-1.5 on Llama-3",
    checkpoints=(
        "Efficient-Large-Model/Llama-3-VILA1.5-8B",
        "Efficient-Large-Model/Llama-3-VILA1.5-8B-Fix",
    ),
    prompts={"": VILA_LLAMA_3},
    named_prompts=((r"llama-3-vila1\.5-8b$", VILA_LLAMA_3_MAY),),
    proof="tests/families/test_vila_llama_3.py",
)
