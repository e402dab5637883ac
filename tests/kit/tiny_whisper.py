"""A tiny Whisper that says one sentence, in the layout of Hugging Face's multilingual ones.

All weights are random and seeded but for one thing: the decoder's position embeddings point at the
tokens of a sentence, strongly enough to outweigh everything else. After the usual four prompt
tokens a greedy decoder therefore writes that sentence and ends, whatever it hears; asked for the
language, it says English. So tests can know the answer without a trained model.

The tokenizer is real, of Whisper's layout and complete in its special tokens, but its text part is
the 256 bytes alone, with no merges. About 1.6 MB, written in well under a second.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorium.model_adapters.ct2.safetensors_writer import write_safetensors

SENTENCE = " A tiny model says this."

WIDTH, HEADS, FFN, LAYERS, MELS = 64, 2, 128, 1, 80
SOURCE_POSITIONS, TARGET_POSITIONS = 1500, 448
# Before the text: start, language, task, and the timestamp that the rules ask for.
PROMPT_TOKENS = 4
ENGLISH_PROMPT_TOKENS = 2

END, START = "<|endoftext|>", "<|startoftranscript|>"
# In the order of their ids.
LANGUAGE_CODES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th "
    "ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr "
    "pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt "
    "haw ln ha ba jw su"
)
SPECIAL = [END, START, *(f"<|{code}|>" for code in LANGUAGE_CODES.split())]
SPECIAL += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
SPECIAL += ["<|nospeech|>", "<|notimestamps|>"]
STAMPS = [f"<|{step / 50:.2f}|>" for step in range(1501)]


def write_tiny_whisper(
    folder: Path, *, seed: int = 0, english: bool = False, mels: int = MELS
) -> Path:
    """Write the checkpoint into `folder` (made if need be) and return it.

    `english` makes an English-only one, which says its sentence after two tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ids = {token: 256 + index for index, token in enumerate([*SPECIAL, *STAMPS])}
    for name, content in _files(ids, english, mels).items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    write_safetensors(folder / "model.safetensors", _weights(ids, seed, english, mels), "float32")
    return folder


def byte_tokens() -> list[str]:
    """The characters byte-level tokenizers write the bytes 0 to 255 as (GPT-2's table)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    stand_ins = iter(range(256, 512))
    return [chr(byte if byte in printable else next(stand_ins)) for byte in range(256)]


def tokenizer(ids: dict[str, int]) -> dict[str, Any]:
    """The content of `tokenizer.json` for these added tokens."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": token, **plain, "special": token in SPECIAL}
            for token, number in ids.items()
        ],
        "normalizer": None,
        "pre_tokenizer": {**level, "use_regex": True},
        "post_processor": None,
        "decoder": {**level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: byte for byte, token in enumerate(byte_tokens())},
            "merges": [],
        },
    }


def _files(ids: dict[str, int], english: bool, mels: int) -> dict[str, dict[str, Any]]:
    common = {
        "bos_token_id": ids[END],
        "eos_token_id": ids[END],
        "pad_token_id": ids[END],
        "decoder_start_token_id": ids[START],
    }
    roles = {f"{role}_token": END for role in ("bos", "eos", "pad", "unk")}
    return {
        "config.json": {
            "architectures": ["WhisperForConditionalGeneration"],
            "model_type": "whisper",
            "dtype": "float32",
            "d_model": WIDTH,
            "num_mel_bins": mels,
            "vocab_size": 256 + len(ids),
            "max_source_positions": SOURCE_POSITIONS,
            "max_target_positions": TARGET_POSITIONS,
            **{f"{side}_layers": LAYERS for side in ("encoder", "decoder")},
            **{f"{side}_attention_heads": HEADS for side in ("encoder", "decoder")},
            **{f"{side}_ffn_dim": FFN for side in ("encoder", "decoder")},
            **common,
            "activation_function": "gelu",
            "tie_word_embeddings": True,
        },
        "generation_config.json": {
            **common,
            "max_length": TARGET_POSITIONS,
            "is_multilingual": not english,
            # The authors' lists take it that " -" is one token; here a space would be suppressed.
            "suppress_tokens": [],
            "begin_suppress_tokens": [ids[END]],
        },
        "preprocessor_config.json": {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": mels,
            "sampling_rate": 16000,
            "hop_length": 160,
            "n_fft": 400,
            "chunk_length": 30,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "WhisperTokenizer",
            "errors": "replace",
            "add_prefix_space": False,
            **roles,
        },
        "tokenizer.json": tokenizer(ids),
    }


def _weights(
    ids: dict[str, int], seed: int, english: bool, mels: int
) -> dict[str, NDArray[np.generic]]:
    random = np.random.default_rng(seed)
    out: dict[str, NDArray[np.generic]] = {}

    def put(name: str, *shape: int) -> NDArray[np.float32]:
        values = (0.02 * random.standard_normal(shape)).astype(np.float32)
        out[name] = values
        return values

    def affine(name: str, *shape: int, bias: bool = True) -> None:
        put(f"{name}.weight", *shape)
        if bias:
            put(f"{name}.bias", shape[0])

    def norm(name: str) -> None:
        put(f"{name}.weight", WIDTH)[:] += 1
        put(f"{name}.bias", WIDTH)

    def attention(name: str) -> None:
        for projection in ("q", "k", "v", "out"):
            affine(f"{name}.{projection}_proj", WIDTH, WIDTH, bias=projection != "k")

    affine("model.encoder.conv1", WIDTH, mels, 3)
    affine("model.encoder.conv2", WIDTH, WIDTH, 3)
    put("model.encoder.embed_positions.weight", SOURCE_POSITIONS, WIDTH)
    words = put("model.decoder.embed_tokens.weight", 256 + len(ids), WIDTH)
    positions = put("model.decoder.embed_positions.weight", TARGET_POSITIONS, WIDTH)
    for side, attentions in (
        ("encoder", ["self_attn"]),
        ("decoder", ["self_attn", "encoder_attn"]),
    ):
        for index in range(LAYERS):
            layer = f"model.{side}.layers.{index}"
            for name in attentions:
                attention(f"{layer}.{name}")
                norm(f"{layer}.{name}_layer_norm")
            affine(f"{layer}.fc1", FFN, WIDTH)
            affine(f"{layer}.fc2", WIDTH, FFN)
            norm(f"{layer}.final_layer_norm")
        norm(f"model.{side}.layer_norm")

    # Sure enough of each word that 1,501 timestamps together are not more probable.
    out["model.decoder.layer_norm.weight"] *= np.float32(16)
    sentence = [*SENTENCE.encode("utf-8"), ids[END]]
    targets = np.full(TARGET_POSITIONS, ids[END])
    first = (ENGLISH_PROMPT_TOKENS if english else PROMPT_TOKENS) - 1
    targets[first : first + len(sentence)] = sentence
    if not english:
        targets[0] = ids["<|en|>"]
    positions[:] = 8 * words[targets]
    return out
