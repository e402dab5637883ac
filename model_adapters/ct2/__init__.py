"""CTranslate2 model files: read them, and rewrite Whisper ones as Hugging Face checkpoints.

CTranslate2 is what most small Whisper copies are published in. Nothing of the library itself is
needed here, only numpy:

    reader.py       bytes of `model.bin` -> named variables
    whisper.py      those variables -> Hugging Face weight names and the model's dimensions
    huggingface.py  dimensions, CTranslate2's config and tokenizer -> the JSON files of a checkpoint
    convert.py      a folder in, a folder out
"""

from sensorium.model_adapters.ct2.convert import convert_whisper
from sensorium.model_adapters.ct2.reader import (
    CT2Error,
    CT2File,
    Variable,
    bfloat16_to_float32,
    read_model,
)

__all__ = [
    "CT2Error",
    "CT2File",
    "Variable",
    "bfloat16_to_float32",
    "convert_whisper",
    "read_model",
]
