"""Whispers with random weights and the authors' vocabulary sizes, in each of the three layouts.

Their answers depend on what they hear: weights are wide enough that greedy decoding wanders among
text, timestamps and the end. All weights are exact in float16.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorium.model_adapters.ct2.huggingface import checkpoint_files
from sensorium.model_adapters.ct2.safetensors_writer import write_safetensors
from sensorium.model_adapters.whisper.facts import WhisperDimensions
from sensorium.model_adapters.whisper.vocabulary_files import find_tokenizer
from tests.kit.ct2_files import Weights, dimensions, model_bytes, random_weights, whisper_file
from tests.kit.openai_whisper import four_times, write_openai, write_ranks

WIDTH, TARGET_POSITIONS = 64, 64


def random_sizes(words: int, mels: int, encoder: int, decoder: int) -> WhisperDimensions:
    """Whisper's shape, narrow: `words` tokens, and this many layers a side."""
    return four_times(
        dimensions(
            vocab_size=words,
            num_mel_bins=mels,
            encoder_layers=encoder,
            decoder_layers=decoder,
            d_model=WIDTH,
            max_source_positions=1500,
            max_target_positions=TARGET_POSITIONS,
        )
    )


def lively_weights(sizes: WhisperDimensions, seed: int) -> Weights:
    """Random weights named as Hugging Face does."""
    random = np.random.default_rng(seed)

    def draw(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        values = random.standard_normal(shape)
        if name.endswith("embed_tokens.weight"):
            first = sizes.vocab_size - 1501
            # As many timestamps as there are would together outweigh any word, always.
            values *= np.where(np.arange(len(values)) < first, 0.22, 0.10)[:, None]
            values[_end(sizes)] *= 2
        elif "embed_positions" in name:
            values *= 0.5
        elif len(shape) > 1:
            values *= 1.5 / np.sqrt(np.prod(shape[1:]))
        else:
            values = 0.1 * values + (name.endswith("norm.weight"))
        return values.astype(np.float16).astype(np.float32)

    # Only the names and shapes are taken.
    return {name: draw(name, old.shape) for name, old in random_weights(sizes).items()}


def _end(sizes: WhisperDimensions) -> int:
    return 50_256 if sizes.vocab_size == 51_864 else 50_257


def write_layout(folder: Path, layout: str, sizes: WhisperDimensions, weights: Weights) -> Path:
    """Write a checkpoint as `openai`, `ct2` or `hf` has it; gives the path to serve."""
    kind = "gpt2" if sizes.vocab_size == 51_864 else "multilingual"
    write_ranks(folder / f"{kind}.tiktoken", _end(sizes))
    if layout == "openai":
        return write_openai(folder / "random.pt", sizes, weights)
    tokenizer = find_tokenizer(folder / "random.pt", sizes.vocab_size)
    if layout == "hf":
        for name, content in checkpoint_files(sizes, "float32", {}, tokenizer).items():
            (folder / name).write_text(json.dumps(content))
        write_safetensors(folder / "model.safetensors", dict(weights), "float32")
        return folder
    (folder / "model.bin").write_bytes(model_bytes(whisper_file(sizes, weights, "float16")))
    added = [token for token in tokenizer["added_tokens"] if token["special"]]
    (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, "added_tokens": added}))
    config = {"suppress_ids": [1, 2, 7], "suppress_ids_begin": [220, _end(sizes)]}
    (folder / "config.json").write_text(json.dumps(config))
    return folder
