"""moondream2 from 2024-05-08 to 2024-08-26.

Facts: vikhyat/moondream, moondream/{moondream,vision_encoder}.py of 2024-05-01, 2024-05-20 and
2024-08-26: no tags around the picture, the tokenizer's own end token, GELU by tanh; from 2024-05-20
on a picture is seen as a whole and in up to four parts. The region model of 2024-08-26 is not used
by questions.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import moondream1
from sensorium.model_adapters.prompts import MOONDREAM2
from sensorium.model_adapters.readers.moondream import read_later, refine_later

__all__ = ["SPEC"]

SPEC = replace(
    moondream1.SPEC,
    name="moondream2",
    title="moondream2 of 2024",
    checkpoints=("vikhyatk/moondream2 (2024-05-08, 2024-05-20, 2024-07-23, 2024-08-26)",),
    prompts={"": MOONDREAM2},
    aspects={"square": "resize", "views": "views"},
    weights=(*moondream1.SPEC.weights, ("region_model.", None)),
    read=read_later,
    refine=refine_later,
    limits=(
        "one image in the authors' code, several are taken; the revisions 2024-03-06 to "
        "2024-04-02 are families of their own, those of 2025 are not served; 2024-05-08 needs its "
        "files at hand when it starts, a hub id counts as 2024-05-20 or later"
    ),
)
