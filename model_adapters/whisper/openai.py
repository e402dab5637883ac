"""OpenAI's original Whisper files (`base.pt`): dimensions and weights, rewritten for the engine.

A file holds `dims` and `model_state_dict` and nothing else. It is read as data (`weights_only`),
and every tensor must be there in its shape and finite. Names: openai/whisper, whisper/model.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.whisper.facts import WhisperDimensions
from sensorium.model_adapters.whisper.vocabulary_files import find_tokenizer

__all__ = ["convert_openai", "dimensions_of", "huggingface_name"]

_TYPES = {"torch.float16": "float16", "torch.bfloat16": "bfloat16"}
# In this order: a later one may not match what an earlier one has written.
_RENAMED = (
    ("encoder.blocks.", "encoder.layers."),
    ("decoder.blocks.", "decoder.layers."),
    (".cross_attn_ln.", ".encoder_attn_layer_norm."),
    (".cross_attn.", ".encoder_attn."),
    (".attn_ln.", ".self_attn_layer_norm."),
    (".attn.", ".self_attn."),
    (".mlp_ln.", ".final_layer_norm."),
    (".mlp.0.", ".fc1."),
    (".mlp.2.", ".fc2."),
    (".query.", ".q_proj."),
    (".key.", ".k_proj."),
    (".value.", ".v_proj."),
    (".out.", ".out_proj."),
    ("encoder.ln_post.", "encoder.layer_norm."),
    ("decoder.ln.", "decoder.layer_norm."),
    ("decoder.token_embedding.", "decoder.embed_tokens."),
    (".positional_embedding", ".embed_positions.weight"),
)


def huggingface_name(name: str) -> str:
    """The name that Hugging Face's checkpoints give a weight."""
    for old, new in _RENAMED:
        name = name.replace(old, new)
    return f"model.{name}"


def dimensions_of(content: object, path: Path) -> WhisperDimensions:
    """The sizes in a file's `dims`; raises CheckpointError where it is no Whisper."""
    dims = content.get("dims") if isinstance(content, Mapping) else None
    weights = content.get("model_state_dict") if isinstance(content, Mapping) else None
    if not isinstance(dims, Mapping) or not isinstance(weights, Mapping):
        raise CheckpointError(f"{path} is no Whisper of OpenAI's: no `dims` and `model_state_dict`")
    try:
        audio, text = int(dims["n_audio_state"]), int(dims["n_text_state"])
        sizes = WhisperDimensions(
            d_model=audio,
            num_mel_bins=int(dims["n_mels"]),
            vocab_size=int(dims["n_vocab"]),
            encoder_layers=int(dims["n_audio_layer"]),
            encoder_attention_heads=int(dims["n_audio_head"]),
            encoder_ffn_dim=4 * audio,
            max_source_positions=int(dims["n_audio_ctx"]),
            decoder_layers=int(dims["n_text_layer"]),
            decoder_attention_heads=int(dims["n_text_head"]),
            decoder_ffn_dim=4 * text,
            max_target_positions=int(dims["n_text_ctx"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: `dims` are not a Whisper's: {error!r}") from None
    if audio != text:
        raise CheckpointError(f"{path}: encoder and decoder differ in width ({audio}, {text})")
    return sizes


def convert_openai(path: Path, target: Path) -> None:
    """Write the checkpoint in `path` into the folder `target`, made if need be, for Hugging Face.

    Raises CheckpointError before anything is written.
    """
    import torch

    from sensorium.model_adapters.ct2.huggingface import checkpoint_files
    from sensorium.model_adapters.ct2.safetensors_writer import write_safetensors

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # noqa: BLE001 - torch raises whatever its unpickler meets
        raise CheckpointError(f"{path} cannot be read as a torch file: {error}") from None
    sizes = dimensions_of(content, path)
    weights = _weights(content["model_state_dict"], sizes, path)
    kinds = {str(tensor.dtype) for tensor in weights.values()}
    dtype = _TYPES.get(kinds.pop(), "float32") if len(kinds) == 1 else "float32"
    tokenizer = find_tokenizer(path, sizes.vocab_size)
    files = checkpoint_files(sizes, dtype, {}, tokenizer)
    arrays = {name: _array(tensor, dtype) for name, tensor in weights.items()}
    target.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        text = json.dumps(data, ensure_ascii=False, indent=1)
        (target / name).write_text(text + "\n", encoding="utf-8")
    write_safetensors(target / "model.safetensors", arrays, dtype)


def _weights(state: Mapping[str, Any], sizes: WhisperDimensions, path: Path) -> dict[str, Any]:
    """The tensors under Hugging Face's names, all there and none too many."""
    found = {huggingface_name(name): tensor for name, tensor in state.items()}
    # Buffers that are computed, and a table of the authors' own.
    for name in ("model.alignment_heads", "model.decoder.mask"):
        found.pop(name, None)
    wanted = _shapes(sizes)
    if wrong := sorted(found.keys() ^ wanted.keys()):
        raise CheckpointError(f"{path}: tensors missing or too many: {', '.join(wrong[:8])}")
    for name, tensor in found.items():
        if tuple(tensor.shape) != wanted[name]:
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, {wanted[name]} is right"
            )
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{path}: {name} holds numbers that are not finite")
    return found


def _array(tensor: Any, dtype: str) -> Any:
    import torch

    if dtype == "bfloat16":
        return tensor.contiguous().view(torch.uint16).numpy()
    return tensor.to(getattr(torch, dtype)).contiguous().numpy()


def _shapes(sizes: WhisperDimensions) -> dict[str, tuple[int, ...]]:
    """Every weight of a Whisper and its shape."""
    width = sizes.d_model
    shapes: dict[str, tuple[int, ...]] = {
        "model.encoder.conv1.weight": (width, sizes.num_mel_bins, 3),
        "model.encoder.conv2.weight": (width, width, 3),
        "model.encoder.conv1.bias": (width,),
        "model.encoder.conv2.bias": (width,),
        "model.encoder.embed_positions.weight": (sizes.max_source_positions, width),
        "model.decoder.embed_positions.weight": (sizes.max_target_positions, width),
        "model.decoder.embed_tokens.weight": (sizes.vocab_size, width),
    }
    for side, layers in (("encoder", sizes.encoder_layers), ("decoder", sizes.decoder_layers)):
        norms = [f"model.{side}.layer_norm"]
        attentions = ["self_attn"] if side == "encoder" else ["self_attn", "encoder_attn"]
        for index in range(layers):
            layer = f"model.{side}.layers.{index}"
            norms += [f"{layer}.final_layer_norm"]
            for name in attentions:
                norms.append(f"{layer}.{name}_layer_norm")
                for part in ("q", "k", "v", "out"):
                    shapes[f"{layer}.{name}.{part}_proj.weight"] = (width, width)
                    if part != "k":
                        shapes[f"{layer}.{name}.{part}_proj.bias"] = (width,)
            shapes |= {f"{layer}.fc1.weight": (4 * width, width), f"{layer}.fc1.bias": (4 * width,)}
            shapes |= {f"{layer}.fc2.weight": (width, 4 * width), f"{layer}.fc2.bias": (width,)}
        for norm in norms:
            shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    return shapes
