"""mPLUG-Owl2: Llama-2 with keys, values and norms of its own for images.

Facts: X-PLUG/mPLUG-Owl, mPLUG-Owl2/mplug_owl2/ (mm_utils.py, conversation.py, serve/cli.py) and its
README: pictures are squashed to a square of their longer edge first, and nothing stands between a
picture and the question.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import MULTIWAY_LLAMA
from sensorium.model_adapters.prompts import MPLUG_OWL2
from sensorium.model_adapters.readers.mplug_owl2 import read_mplug_owl2
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="mplug-owl2",
    title="mPLUG-Owl2",
    checkpoints=("MAGAer13/mplug-owl2-llama2-7b",),
    language_models={"MPLUGOwl2LlamaForCausalLM": MULTIWAY_LLAMA},
    prompts={"": MPLUG_OWL2},
    tower=Tower(kinds=("mplug-owl",), select_layer=-1, keep_class_token=True),
    projectors=("abstractor",),
    aspects={"square": "square"},
    tokenizer=Tokenizer(slow_llama=True, cuts_vocabulary=False),
    weights=(
        ("model.vision_model.", "vision_tower."),
        ("model.visual_abstractor.", "projector."),
        ("model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
    ),
    read=read_mplug_owl2,
    limits=(
        "one image in the authors' demo, several are taken; one pipeline stage; not mPLUG-Owl2.1, "
        "which is on Qwen"
    ),
    proof="tests/families/test_mplug_owl2.py",
)
