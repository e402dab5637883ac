"""Small CTranslate2 Whisper files for tests, made from random Hugging Face weights."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorium.model_adapters.ct2.reader import TYPES, CT2File, Variable
from sensorium.model_adapters.ct2.whisper import WhisperDimensions

Weights = dict[str, NDArray[np.float32]]

LANGUAGE_COUNT = {51864: 99, 51865: 99, 51866: 100}


def dimensions(**changes: int) -> WhisperDimensions:
    """A multilingual Whisper of one narrow layer a side, with `changes`."""
    sizes = {
        "d_model": 4,
        "num_mel_bins": 5,
        "vocab_size": 51865,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 6,
        "max_source_positions": 7,
        "decoder_layers": 1,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 6,
        "max_target_positions": 8,
    }
    return WhisperDimensions(**{**sizes, **changes})


def random_weights(sizes: WhisperDimensions, seed: int = 0) -> Weights:
    """Weights as Hugging Face names and shapes them, all exact in 16 bits of either kind."""
    random = np.random.default_rng(seed)
    width = sizes.d_model

    def draw(*shape: int) -> NDArray[np.float32]:
        return random.integers(-127, 128, shape).astype(np.float32) / np.float32(64)

    shapes: dict[str, tuple[int, ...]] = {
        "model.encoder.conv1.weight": (width, sizes.num_mel_bins, 3),
        "model.encoder.conv1.bias": (width,),
        "model.encoder.conv2.weight": (width, width, 3),
        "model.encoder.conv2.bias": (width,),
        "model.encoder.embed_positions.weight": (sizes.max_source_positions, width),
        "model.decoder.embed_positions.weight": (sizes.max_target_positions, width),
        "model.decoder.embed_tokens.weight": (sizes.vocab_size, width),
    }
    for side, layers, ffn, attentions in (
        ("encoder", sizes.encoder_layers, sizes.encoder_ffn_dim, ["self_attn"]),
        ("decoder", sizes.decoder_layers, sizes.decoder_ffn_dim, ["self_attn", "encoder_attn"]),
    ):
        for layer in (f"model.{side}.layers.{index}" for index in range(layers)):
            for attention in (f"{layer}.{name}" for name in attentions):
                for part in "qkv":
                    shapes[f"{attention}.{part}_proj.weight"] = (width, width)
                    if part != "k":
                        shapes[f"{attention}.{part}_proj.bias"] = (width,)
                shapes[f"{attention}.out_proj.weight"] = (width, width)
                shapes[f"{attention}.out_proj.bias"] = (width,)
            shapes |= {f"{layer}.fc1.weight": (ffn, width), f"{layer}.fc1.bias": (ffn,)}
            shapes |= {f"{layer}.fc2.weight": (width, ffn), f"{layer}.fc2.bias": (width,)}
            for norm in [*(f"{name}_layer_norm" for name in attentions), "final_layer_norm"]:
                shapes |= {f"{layer}.{norm}.{part}": (width,) for part in ("weight", "bias")}
        shapes |= {f"model.{side}.layer_norm.{part}": (width,) for part in ("weight", "bias")}
    return {name: draw(*shape) for name, shape in shapes.items()}


def whisper_file(sizes: WhisperDimensions, weights: Weights, kind: str = "float32") -> CT2File:
    """The weights as CTranslate2 lays them out, stored as one of its quantisations.

    `kind` is float32, float16, bfloat16, int16, or int8, with "_float16" or "_bfloat16" for what
    is not quantised.
    """
    out: dict[str, Variable] = {}

    def put(name: str, values: NDArray[np.float32], *, matrix: bool = True) -> None:
        stored, rest = kind.split("_") if "_" in kind else (kind, kind)
        if matrix and stored in ("int8", "int16"):
            out[name], out[f"{name}_scale"] = quantised(values, stored)
        else:
            out[name] = floating(values, "float32" if rest in ("int8", "int16") else rest)

    def affine(ct2: str, *hf: str) -> None:
        put(f"{ct2}/weight", np.concatenate([weights[f"{name}.weight"] for name in hf]))
        biases = [weights.get(f"{name}.bias", np.zeros(sizes.d_model, np.float32)) for name in hf]
        put(f"{ct2}/bias", np.concatenate(biases), matrix=False)

    def norm(ct2: str, hf: str) -> None:
        put(f"{ct2}/gamma", weights[f"{hf}.weight"], matrix=False)
        put(f"{ct2}/beta", weights[f"{hf}.bias"], matrix=False)

    for side, layers in (("encoder", sizes.encoder_layers), ("decoder", sizes.decoder_layers)):
        positions = weights[f"model.{side}.embed_positions.weight"]
        put(f"{side}/position_encodings/encodings", positions, matrix=False)
        norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
        for index in range(layers):
            ct2, hf = f"{side}/layer_{index}", f"model.{side}.layers.{index}"
            norm(f"{ct2}/self_attention/layer_norm", f"{hf}.self_attn_layer_norm")
            parts = [f"{hf}.self_attn.{part}_proj" for part in ("q", "k", "v", "out")]
            affine(f"{ct2}/self_attention/linear_0", *parts[:3])
            affine(f"{ct2}/self_attention/linear_1", parts[3])
            if side == "decoder":
                norm(f"{ct2}/attention/layer_norm", f"{hf}.encoder_attn_layer_norm")
                parts = [f"{hf}.encoder_attn.{part}_proj" for part in ("q", "k", "v", "out")]
                affine(f"{ct2}/attention/linear_0", parts[0])
                affine(f"{ct2}/attention/linear_1", *parts[1:3])
                affine(f"{ct2}/attention/linear_2", parts[3])
            norm(f"{ct2}/ffn/layer_norm", f"{hf}.final_layer_norm")
            affine(f"{ct2}/ffn/linear_0", f"{hf}.fc1")
            affine(f"{ct2}/ffn/linear_1", f"{hf}.fc2")
    for conv in ("conv1", "conv2"):
        affine(f"encoder/{conv}", f"model.encoder.{conv}")
    put("decoder/embeddings/weight", weights["model.decoder.embed_tokens.weight"])
    out |= {
        "encoder/num_heads": integer("int16", sizes.encoder_attention_heads),
        "decoder/num_heads": integer("int16", sizes.decoder_attention_heads),
        "decoder/activation": integer("int8", 3),
        "decoder/alibi": integer("int8", 0),
        "decoder/alignment_heads": integer("int16", 1),
        "decoder/alignment_layer": integer("int16", -1),
        "decoder/pre_norm": integer("int8", 1),
        "decoder/scale_embeddings": integer("int8", 0),
        "decoder/start_from_zero_embedding": integer("int8", 0),
    }
    aliases = {"decoder/projection/weight": "decoder/embeddings/weight"}
    return CT2File("WhisperSpec", 3, out, aliases)


def integer(dtype: str, value: int) -> Variable:
    """A scalar."""
    return Variable(dtype, np.array(value, dict(TYPES)[dtype]))


def floating(values: NDArray[np.float32], dtype: str) -> Variable:
    """Values as they are stored in a floating-point type; they must be exact in it."""
    if dtype == "bfloat16":
        return Variable(dtype, (values.view(np.uint32) >> np.uint32(16)).astype(np.uint16))
    return Variable(dtype, values.astype(dict(TYPES)[dtype]))


def quantised(values: NDArray[np.float32], dtype: str) -> tuple[Variable, Variable]:
    """Integers and their scale, as CTranslate2's converter makes them."""
    if dtype == "int16":
        scale = np.float32(1024) / np.abs(values).max()
        scales = np.array(scale, np.float32)
        stored: NDArray[Any] = np.rint(values * scale).astype(np.int16)
    else:
        rows = np.abs(values.reshape(len(values), -1)).max(axis=1)
        scales = (127 / np.where(rows == 0, 127, rows)).astype(np.float32)
        by_row = scales.reshape([-1] + [1] * (values.ndim - 1))
        stored = np.rint(values * by_row).astype(np.int8)
    return Variable(dtype, stored), Variable("float32", scales)


def model_bytes(file: CT2File, version: int = 6) -> bytes:
    """The bytes of `model.bin`."""
    out = [struct.pack("<I", version), string(file.spec), struct.pack("<I", file.revision)]
    out.append(struct.pack("<I", len(file.variables)))
    numbers = {name: number for number, (name, _) in enumerate(TYPES)}
    for name, variable in file.variables.items():
        shape = variable.shape
        data = variable.values.tobytes()
        out += [string(name), struct.pack(f"<B{len(shape)}I", len(shape), *shape)]
        out += [struct.pack("<BI", numbers[variable.dtype], len(data)), data]
    out.append(struct.pack("<I", len(file.aliases)))
    for alias, target in file.aliases.items():
        out += [string(alias), string(target)]
    return b"".join(out)


def string(text: str) -> bytes:
    """A string of the file format."""
    raw = text.encode("utf-8") + b"\0"
    return struct.pack("<H", len(raw)) + raw


def ct2_config() -> dict[str, Any]:
    """What is beside the model in `config.json`."""
    return {
        "alignment_heads": [[0, 1]],
        "lang_ids": [50259],
        "suppress_ids": [1, 2, 50358],
        "suppress_ids_begin": [220, 50257],
    }


def ct2_tokenizer(words: int = 51865) -> dict[str, Any]:
    """A `tokenizer.json` with Whisper's special tokens for a vocabulary of `words`, and no text."""
    languages = [f"<|lang{index}|>" for index in range(LANGUAGE_COUNT[words])]
    tokens = ["<|endoftext|>", "<|startoftranscript|>", *languages, "<|translate|>"]
    tokens += ["<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    tokens += ["<|nocaptions|>", "<|notimestamps|>"]
    first = words - 1501 - len(tokens)
    return {
        "added_tokens": [
            {"id": first + index, "content": token, "special": True}
            for index, token in enumerate(tokens)
        ],
        "model": {"type": "BPE", "vocab": {}, "merges": []},
    }
