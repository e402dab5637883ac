"""Whispers in OpenAI's layout for tests: a `.pt` file, and a vocabulary as `.tiktoken`."""

from __future__ import annotations

import base64
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import Any

from sensorium.model_adapters.whisper.facts import WhisperDimensions
from tests.kit.ct2_files import Weights

_PARTS = {
    "encoder_attn_layer_norm": "cross_attn_ln",
    "encoder_attn": "cross_attn",
    "self_attn_layer_norm": "attn_ln",
    "self_attn": "attn",
    "final_layer_norm": "mlp_ln",
    "fc1": "mlp.0",
    "fc2": "mlp.2",
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "out_proj": "out",
    "embed_tokens": "token_embedding",
    "layers": "blocks",
}


def openai_name(name: str) -> str:
    """The name in OpenAI's files of a weight named as Hugging Face does."""
    out = ".".join(_PARTS.get(part, part) for part in name.removeprefix("model.").split("."))
    out = out.replace("embed_positions.weight", "positional_embedding")
    for side, norm in (("encoder", "ln_post"), ("decoder", "ln")):
        out = out.replace(f"{side}.layer_norm.", f"{side}.{norm}.")
    return out


def four_times(sizes: WhisperDimensions) -> WhisperDimensions:
    """OpenAI's feed-forward layers are always four times as wide."""
    return replace(sizes, encoder_ffn_dim=4 * sizes.d_model, decoder_ffn_dim=4 * sizes.d_model)


def write_openai(path: Path, sizes: WhisperDimensions, weights: Weights, **extra: Any) -> Path:
    """Write weights that are named as Hugging Face does; `extra` tensors keep their names."""
    import torch

    dims = {
        "n_mels": sizes.num_mel_bins,
        "n_audio_ctx": sizes.max_source_positions,
        "n_audio_state": sizes.d_model,
        "n_audio_head": sizes.encoder_attention_heads,
        "n_audio_layer": sizes.encoder_layers,
        "n_vocab": sizes.vocab_size,
        "n_text_ctx": sizes.max_target_positions,
        "n_text_state": sizes.d_model,
        "n_text_head": sizes.decoder_attention_heads,
        "n_text_layer": sizes.decoder_layers,
    }
    state = {openai_name(name): torch.from_numpy(values) for name, values in weights.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": dims, "model_state_dict": {**state, **extra}}, path)
    return path


def write_ranks(path: Path, words: int) -> Path:
    """A vocabulary of `words` pieces of text: all bytes, then pairs of bytes."""
    letters = [bytes([byte]) for byte in range(256)]
    pairs = (one + two for one, two in product(letters, letters))
    pieces = [*letters, *islice(pairs, words - 256)]
    lines = [base64.b64encode(piece) + b" %d" % rank for rank, piece in enumerate(pieces)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(lines))
    return path
