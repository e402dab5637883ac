"""The JSON files of a Hugging Face Whisper checkpoint, made from what CTranslate2 keeps.

CTranslate2's `tokenizer.json` lacks the 1,501 timestamp tokens, which it keeps in its vocabulary
list only; without them a decoded timestamp reads as text. Special token ids are always looked up
by name: CTranslate2's own `lang_ids` are wrong for the English-only models.

Not written: `normalizer.json` (English spelling normalisation, used by evaluation scripts only) and
`vocab.json` / `merges.txt` (transformers reads `tokenizer.json`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sensorium.model_adapters.ct2.reader import CT2Error
from sensorium.model_adapters.whisper.facts import TIMESTAMPS, WhisperDimensions

__all__ = ["TIMESTAMPS", "checkpoint_files"]

END = "<|endoftext|>"
START = "<|startoftranscript|>"
TRANSLATE = "<|translate|>"
TRANSCRIBE = "<|transcribe|>"
PREVIOUS = "<|startofprev|>"
NO_TIMESTAMPS = "<|notimestamps|>"

# The id of <|endoftext|> tells the two vocabularies apart.
ENGLISH_END, MULTILINGUAL_END = 50256, 50257

Json = dict[str, Any]


def checkpoint_files(
    dimensions: WhisperDimensions,
    dtype: str,
    ct2_config: Mapping[str, Any],
    tokenizer: Mapping[str, Any],
) -> dict[str, Json]:
    """File name -> content, for a checkpoint of these dimensions.

    `ct2_config` and `tokenizer` are CTranslate2's `config.json` and `tokenizer.json`. Raises
    `CT2Error` where the tokenizer does not belong to a Whisper of this vocabulary size.
    """
    ids = _special_ids(tokenizer)
    end, plain = ids[END], ids[NO_TIMESTAMPS]
    if end not in (ENGLISH_END, MULTILINGUAL_END):
        raise CT2Error(
            f"tokenizer.json: {END} has id {end}; a Whisper tokenizer has it at {ENGLISH_END} "
            f"(English) or {MULTILINGUAL_END} (multilingual)"
        )
    if dimensions.vocab_size != plain + 1 + len(TIMESTAMPS):
        raise CT2Error(
            f"the model has {dimensions.vocab_size} tokens, but the tokenizer "
            f"{plain + 1 + len(TIMESTAMPS)} with timestamps: they do not belong together"
        )
    common: Json = {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": ids[START],
        **_suppressed(ct2_config, dimensions.vocab_size),
    }
    return {
        "config.json": {
            "architectures": ["WhisperForConditionalGeneration"],
            "model_type": "whisper",
            "dtype": dtype,
            **asdict(dimensions),
            **common,
            "activation_function": "gelu",
            "scale_embedding": False,
            "tie_word_embeddings": True,
        },
        "generation_config.json": _generation(dimensions, common, ids, ct2_config),
        "preprocessor_config.json": {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": dimensions.num_mel_bins,
            "sampling_rate": 16000,
            "hop_length": 160,
            "n_fft": 400,
            "chunk_length": 30,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "WhisperTokenizer",
            "errors": "replace",
            "add_prefix_space": False,
            **{f"{role}_token": END for role in ("bos", "eos", "pad", "unk")},
        },
        "tokenizer.json": _with_timestamps(tokenizer, plain + 1),
    }


def _special_ids(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    try:
        ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    except (KeyError, TypeError):
        raise CT2Error("tokenizer.json: no readable list `added_tokens`") from None
    missing = {END, START, TRANSLATE, TRANSCRIBE, PREVIOUS, NO_TIMESTAMPS} - set(ids)
    if missing:
        raise CT2Error(f"tokenizer.json lacks Whisper's {', '.join(sorted(missing))}")
    if not all(isinstance(number, int) for number in ids.values()):
        raise CT2Error("tokenizer.json: a token id in `added_tokens` is not a number")
    return ids


def _suppressed(ct2_config: Mapping[str, Any], words: int) -> Json:
    """The token ids never to generate, or never first; absent in some files."""
    out: Json = {}
    for ours, theirs in (
        ("suppress_tokens", "suppress_ids"),
        ("begin_suppress_tokens", "suppress_ids_begin"),
    ):
        ids = ct2_config.get(theirs)
        if ids is None:
            continue
        if not isinstance(ids, list) or not all(
            isinstance(i, int) and -1 <= i < words for i in ids
        ):
            raise CT2Error(f"config.json: {theirs} must be a list of token ids below {words}")
        out[ours] = ids
    return out


def _generation(
    dimensions: WhisperDimensions, common: Json, ids: dict[str, int], ct2_config: Mapping[str, Any]
) -> Json:
    multilingual = ids[END] == MULTILINGUAL_END
    out: Json = {
        **common,
        "is_multilingual": multilingual,
        "max_initial_timestamp_index": 50,
        "max_length": dimensions.max_target_positions,
        "no_timestamps_token_id": ids[NO_TIMESTAMPS],
        "prev_sot_token_id": ids[PREVIOUS],
    }
    if ct2_config.get("alignment_heads"):
        out["alignment_heads"] = ct2_config["alignment_heads"]
    if multilingual:
        # The languages are what lies between the start token and the two tasks.
        out["lang_to_id"] = {
            token: number for token, number in ids.items() if ids[START] < number < ids[TRANSLATE]
        }
        out["task_to_id"] = {"transcribe": ids[TRANSCRIBE], "translate": ids[TRANSLATE]}
    return out


def _with_timestamps(tokenizer: Mapping[str, Any], first: int) -> Json:
    present = {token["content"] for token in tokenizer["added_tokens"]}
    stamps = [
        {
            "id": first + index,
            "content": stamp,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": False,
        }
        for index, stamp in enumerate(TIMESTAMPS)
        if stamp not in present
    ]
    return {**tokenizer, "added_tokens": [*tokenizer["added_tokens"], *stamps]}
