"""A CTranslate2 Whisper in, a Hugging Face checkpoint out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensorium.model_adapters.ct2.huggingface import checkpoint_files
from sensorium.model_adapters.ct2.reader import CT2Error, read_model
from sensorium.model_adapters.ct2.safetensors_writer import write_safetensors
from sensorium.model_adapters.ct2.whisper import whisper_weights

__all__ = ["convert_folder", "convert_whisper"]


def convert_whisper(
    model: bytes, config: Mapping[str, Any], tokenizer: Mapping[str, Any], target: Path
) -> None:
    """Write a Hugging Face Whisper checkpoint into the folder `target`, made if need be.

    `model`, `config` and `tokenizer` are the contents of CTranslate2's `model.bin`, `config.json`
    and `tokenizer.json`. 16-bit files stay as they are; int8 and int16 ones become float32. Raises
    `CT2Error` before anything is written.
    """
    weights = whisper_weights(read_model(model))
    files = checkpoint_files(weights.dimensions, weights.dtype, config, tokenizer)
    target.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (target / name).write_text(text + "\n", encoding="utf-8")
    write_safetensors(target / "model.safetensors", weights.tensors, weights.dtype)


def convert_folder(source: Path, target: Path) -> None:
    """Convert a folder with `model.bin`, `config.json` and `tokenizer.json`; see `convert_whisper`.

    Raises `CT2Error` also for a file that is missing or not JSON.
    """
    contents: dict[str, bytes] = {}
    for name in ("model.bin", "config.json", "tokenizer.json"):
        try:
            contents[name] = (source / name).read_bytes()
        except FileNotFoundError:
            raise CT2Error(f"{source} has no {name}; it is needed") from None
    config, tokenizer = (parse_object(n, contents[n]) for n in ("config.json", "tokenizer.json"))
    convert_whisper(contents["model.bin"], config, tokenizer, target)


def parse_object(name: str, data: bytes) -> dict[str, Any]:
    """Parse the JSON object in the file `name`; `CT2Error` when it is not one."""
    try:
        value = json.loads(data)
    except ValueError as error:
        raise CT2Error(f"{name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise CT2Error(f"{name} holds a {type(value).__name__}; a JSON object is needed")
    return value
