"""Tokenizers of old checkpoints give the ids of the libraries that their authors use."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models.qwen import QWEN_TOKENIZER, QWEN_VL_TOKENIZER
from sensorium.model_adapters.tokenizer_kinds import SentencePieceFile
from tests.families import legacy_tokenizers
from tests.families.legacy_checkpoints import qwen_config
from tests.families.tiny import write_json

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]
TEXTS = (
    "",
    " ",
    "  two  spaces  ",
    "a",
    " a",
    "line\nline\n\n\tline \n",
    "It's 2024, isn't it? I'LL see 12345 <b>",
    "你好，你是谁？ 今天天气怎么样？",
    "Cafe\u0301 ½ ﬁ \u00a0 \u3000 \u200b",
    "🙂 👩‍🚀 \U0001f1e9\U0001f1ea",
    "العربية हिन्दी Ελληνικά",
    "<|User|>:x<eoh>\n<|Bot|>: y<eoa>\n<eo h>",
    "▁x ▁▁ y",
    "<unk> <0x41> word" * 3,
)


def load(path: Path, kind: Any) -> Any:
    from sensorium.model_adapters.engine.legacy_tokenizers import load_legacy

    return load_legacy(path, kind)


@pytest.mark.parametrize("text", [text for text in TEXTS if "<unk>" not in text])
@pytest.mark.parametrize("dummy_prefix", [True, False])
@pytest.mark.parametrize("symbols", [(), ("<eoh>", "<eoa>", "<eo")])
def test_sentencepiece(
    tmp_path_factory: pytest.TempPathFactory,
    dummy_prefix: bool,
    symbols: tuple[str, ...],
    text: str,
) -> None:
    path = cached(tmp_path_factory, dummy_prefix=dummy_prefix, symbols=symbols)
    tokenizer = load(path, SentencePieceFile())
    ids = legacy_tokenizers.encode_sentencepiece(path, text)
    assert tokenizer(text)["input_ids"] == [1, *ids]
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids
    assert tokenizer.decode(ids) == decode(path, ids)


def cached(factory: pytest.TempPathFactory, **options: Any) -> Path:
    """A trained model for each set of options."""
    key = repr(options)
    if key not in _MODELS:
        _MODELS[key] = factory.mktemp("sentencepiece")
        legacy_tokenizers.sentencepiece_model(_MODELS[key], **options)
    return _MODELS[key]


_MODELS: dict[str, Path] = {}


def decode(path: Path, ids: list[int]) -> str:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(path / "tokenizer.model"))
    return str(model.decode(ids))


@pytest.mark.parametrize("text", TEXTS)
def test_qwen(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    if "qwen" not in _MODELS:
        _MODELS["qwen"] = tmp_path_factory.mktemp("qwen")
        legacy_tokenizers.qwen_tiktoken(_MODELS["qwen"])
    tokenizer = load(_MODELS["qwen"], QWEN_TOKENIZER)
    text = f"{text}<|im_start|>user\n{text}<|im_end|><|extra_204|>"
    assert tokenizer(text)["input_ids"] == legacy_tokenizers.encode_qwen(_MODELS["qwen"], text)


def test_special_tokens_of_qwen_and_qwen_vl(tmp_path: Path) -> None:
    legacy_tokenizers.qwen_tiktoken(tmp_path)
    text, vision = load(tmp_path, QWEN_TOKENIZER), load(tmp_path, QWEN_VL_TOKENIZER)
    assert text.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|extra_0|>"]) == [
        556,
        557,
        559,
    ]
    assert len(text) == 556 + 208
    names = ["<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>"]
    numbers = list(range(764, 773))
    assert vision.convert_tokens_to_ids([*names, "<imgpad>"]) == numbers
    assert text.eos_token == "<|endoftext|>"


@pytest.mark.parametrize(
    ("chat_format", "end"), [("chatml", "<|im_end|>"), ("raw", "<|endoftext|>")]
)
def test_where_answers_of_qwen_end(tmp_path: Path, chat_format: str, end: str) -> None:
    from sensorium.model_adapters.engine.tokenizer import load_text_tokenizer

    legacy_tokenizers.qwen_tiktoken(tmp_path)
    write_json(tmp_path / "config.json", qwen_config())
    write_json(tmp_path / "generation_config.json", {"chat_format": chat_format})
    tokenizer = load_text_tokenizer(tmp_path)
    assert tokenizer.eos_token == end
    assert (tokenizer.chat_template is None) == (chat_format == "raw")


def test_tokens_that_fine_tuning_added(tmp_path: Path) -> None:
    legacy_tokenizers.sentencepiece_model(tmp_path, dummy_prefix=False, bos=False)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<b>": 641, "<a>": 640}))
    ids = load(tmp_path, SentencePieceFile())("x<a><b>")["input_ids"]
    assert ids[-2:] == [640, 641]
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<a>": 700}))
    with pytest.raises(CheckpointError, match="700"):
        load(tmp_path, SentencePieceFile())


def spoil(path: Path) -> None:
    path.write_bytes(b"\xff\xfe nothing")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [(spoil, "tokenizer.model is no sentencepiece"), (remove, "no tokenizer file")],
)
def test_a_damaged_sentencepiece_model(
    tmp_path: Path, change: Callable[[Path], None], wanted: str
) -> None:
    legacy_tokenizers.sentencepiece_model(tmp_path, dummy_prefix=False)
    change(tmp_path / "tokenizer.model")
    with pytest.raises(CheckpointError, match=wanted):
        load(tmp_path, SentencePieceFile())


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [(["YQ== 0", "###"], "line 2"), (["YQ== 0", "Yg== 2"], "ranks are not")],
)
def test_a_damaged_tiktoken_file(tmp_path: Path, lines: list[str], wanted: str) -> None:
    (tmp_path / "qwen.tiktoken").write_text("\n".join(lines))
    with pytest.raises(CheckpointError, match=wanted):
        load(tmp_path, replace(QWEN_TOKENIZER, special=()))
