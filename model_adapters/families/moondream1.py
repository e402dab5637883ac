"""moondream1, and moondream2 in its first revision.

Facts: vikhyat/moondream, moondream/{moondream,vision_encoder}.py of 2024-02-06 and 2024-03-04: a
literal `<image></image>` around the picture, a space after `Answer:`, answers that end at any one
token of `<END>`.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import MOONDREAM_PHI
from sensorium.model_adapters.prompts import MOONDREAM1
from sensorium.model_adapters.readers.moondream import read_first
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="moondream1",
    title="moondream1, and moondream2 of 2024-03-04",
    checkpoints=("vikhyatk/moondream1", "vikhyatk/moondream2 (2024-03-04)"),
    language_models={"Moondream": MOONDREAM_PHI},
    prompts={"": MOONDREAM1},
    tower=Tower(kinds=("timm-linear",), select_layer=-1, keep_class_token=True),
    projectors=("moondream",),
    aspects={"square": "resize"},
    tokenizer=Tokenizer(starts_with_bos=True, cuts_vocabulary=False),
    weights=(
        ("vision_encoder.encoder.model.visual.", "vision_tower."),
        ("vision_encoder.projection.", "projector."),
        ("text_model.", "language_model."),
    ),
    read=read_first,
    limits=(
        "one image in the authors' code, several are taken; not the first weights of moondream1 "
        "(before 2024-02-06), whose projector is another; the ends of answers are matched as text"
    ),
    proof="tests/families/test_moondream.py",
)
