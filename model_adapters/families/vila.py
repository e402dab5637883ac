"""VILA-1.5 on Vicuna-like language models: 3b, 3b-s2 and 13b.

Facts: NVlabs/VILA at 637d49d, llava/model/ (`flat_square` of base_projector.py gives tokens column
by column; every row of SigLIP's features is kept by `cls_patch`), llava/mm_utils.py (`resize`),
llava/model/language_model/builder.py (the slow tokenizer with `legacy=False`), README.md.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.prompts import VICUNA_V1
from sensorium.model_adapters.readers.vila import read_vila
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="vila",
    title="VILA-1.5",
    checkpoints=(
        "Efficient-Large-Model/VILA1.5-3b",
        "Efficient-Large-Model/VILA1.5-3b-s2",
        "Efficient-Large-Model/VILA1.5-13b",
    ),
    language_models={"LlamaForCausalLM": LLAMA},
    prompts={"": VICUNA_V1},
    tower=Tower(kinds=("siglip", "clip"), drops_first_patch=True, scales="384,768"),
    projectors=("downsample", "linear", "mlp"),
    aspects={None: "crop", "resize": "resize", "pad": "pad"},
    tokenizer=Tokenizer(slow_llama=True, folder="llm", legacy=False),
    folders=("llm", "vision_tower", "mm_projector"),
    weights=(
        ("llm.", "language_model."),
        ("vision_tower.", "vision_tower."),
        ("mm_projector.layers.", "projector."),
    ),
    read=read_vila,
    limits=(
        "pictures only: of a video the authors show 6 frames as so many pictures, which a request "
        "may send; checkpoints made after December 2024, whose projector gives tokens row by row, "
        "and AWQ ones are not covered; "
        "from a folder, not from a hub's id"
    ),
    proof="tests/families/test_vila.py",
)
