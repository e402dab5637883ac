"""moondream2's three revisions of March and April 2024, which no config tells apart.

Facts: vikhyat/moondream, moondream/{moondream,vision_encoder,modeling_phi}.py at f9092f9
(2024-03-06: tags and a space after `Answer:`, as before), 8db8da7 (2024-03-13: neither, answers
end at any token of `<END>`) and 8fa2f2c (2024-04-02: the tokenizer's end token, tanh GELU).
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.families import moondream1
from sensorium.model_adapters.prompts import MOONDREAM2, MOONDREAM2_MARCH
from sensorium.model_adapters.readers.moondream import read_april, read_march

__all__ = ["APRIL_2", "MARCH_6", "MARCH_13"]

MARCH_6 = replace(
    moondream1.SPEC,
    name="moondream2-2024-03-06",
    title="moondream2 of 2024-03-06",
    checkpoints=("vikhyatk/moondream2 (2024-03-06)",),
    read=read_march,
    limits="chosen by name (`--family`); one image in the authors' code, several are taken",
    unconfirmed=(
        "the code that lies beside these weights on the hub was not seen; served is what the "
        "authors' repository did on the day of the release"
    ),
)
MARCH_13 = replace(
    MARCH_6,
    name="moondream2-2024-03-13",
    title="moondream2 of 2024-03-13",
    checkpoints=("vikhyatk/moondream2 (2024-03-13)",),
    prompts={"": MOONDREAM2_MARCH},
)
APRIL_2 = replace(
    MARCH_6,
    name="moondream2-2024-04-02",
    title="moondream2 of 2024-04-02",
    checkpoints=("vikhyatk/moondream2 (2024-04-02)",),
    prompts={"": MOONDREAM2},
    read=read_april,
)
