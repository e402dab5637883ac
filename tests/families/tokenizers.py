"""Tiny tokenizers of the kinds that later language models have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.families import tiny

__all__ = ["chatml_tokenizer", "llama_3_tokenizer", "yi_tokenizer"]

_LLAMA_3 = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)


def chatml_tokenizer(folder: Path) -> Any:
    """A byte-level BPE without BOS, with Qwen's special tokens."""
    end = "<|im_end|>"
    tokenizer = _byte_level(("<|endoftext|>", "<|im_start|>", end))
    return _save(folder, tokenizer, eos_token=end, pad_token="<|endoftext|>")


def llama_3_tokenizer(folder: Path) -> Any:
    """A byte-level BPE that begins every text with BOS, with Llama-3's special tokens."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = _byte_level(_LLAMA_3)
    begin = _LLAMA_3[0]
    tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A",
        pair=f"{begin} $A {begin} $B",
        special_tokens=[(begin, tokenizer.token_to_id(begin))],
    )
    return _save(folder, tokenizer, bos_token=begin, eos_token="<|end_of_text|>")


def yi_tokenizer(folder: Path) -> None:
    """Yi's: the sentencepiece model defines the symbols of ChatML; only the end is added."""
    tiny.llama_tokenizer(folder, legacy=True, bos=False, symbols=("<|im_start|>", "<|im_end|>"))
    settings = {
        "add_bos_token": False,
        "add_eos_token": False,
        "bos_token": "<s>",
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "legacy": True,
        "model_max_length": 4096,
        "pad_token": "<unk>",
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": "<unk>",
    }
    tiny.write_json(folder / "tokenizer_config.json", settings)
    special = {key: settings[key] for key in ("bos_token", "eos_token", "pad_token", "unk_token")}
    tiny.write_json(folder / "special_tokens_map.json", special)


def _byte_level(special: tuple[str, ...]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(tiny.corpus().splitlines(), trainer)
    return tokenizer


def _save(folder: Path, tokenizer: Any, **tokens: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens).save_pretrained(folder)
    return tokenizer
