"""OpenAI's, CTranslate2's and Hugging Face's layouts: told apart, inspected, rewritten, refused."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sensorium.model_adapters.ct2.huggingface import checkpoint_files
from sensorium.model_adapters.ct2.safetensors_writer import write_safetensors
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.whisper import layouts
from sensorium.model_adapters.whisper.languages import LANGUAGES, find_language
from sensorium.model_adapters.whisper.layouts import inspect_whisper, may_be_whisper
from sensorium.model_adapters.whisper.openai import convert_openai, huggingface_name
from sensorium.model_adapters.whisper.ready import loadable
from sensorium.model_adapters.whisper.vocabulary_files import find_tokenizer
from sensorium.serving.speech.whisper import read_whisper
from tests.kit.ct2_files import (
    Weights,
    ct2_config,
    ct2_tokenizer,
    dimensions,
    model_bytes,
    random_weights,
    whisper_file,
)
from tests.kit.openai_whisper import four_times, openai_name, write_openai, write_ranks

SIZES = dimensions()
# large-v3's spectrum and vocabulary, and a distilled model's layers.
LARGE = dimensions(num_mel_bins=128, vocab_size=51866, encoder_layers=3, decoder_layers=1)
ENGLISH = dimensions(vocab_size=51864)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENSORIUM_HOME", str(tmp_path / "home"))
    # An installed openai-whisper would lend its vocabulary.
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def write_words(folder: Path, count: int) -> None:
    """A tokenizer.json whose text part has `count` words."""
    words = {f"w{number}": number for number in range(count)}
    folder.mkdir(parents=True, exist_ok=True)
    content = {"model": {"vocab": {**words, "<|endoftext|>": count}, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("sizes", "words"), [(SIZES, 50257), (LARGE, 50257), (ENGLISH, 50256)], ids=str
)
def test_an_original_file_becomes_the_same_weights(tmp_path: Path, sizes: Any, words: int) -> None:
    sizes = four_times(sizes)
    weights = random_weights(sizes)
    path = write_openai(tmp_path / "o" / "x.pt", sizes, weights)
    write_words(path.parent, words)
    target = tmp_path / "target"
    convert_openai(path, target)
    write_safetensors(tmp_path / "expected", weights, "float32")
    assert (target / "model.safetensors").read_bytes() == (tmp_path / "expected").read_bytes()
    config = json.loads((target / "config.json").read_text())
    assert (config["vocab_size"], config["num_mel_bins"]) == (sizes.vocab_size, sizes.num_mel_bins)
    ids = {
        token["content"]: token["id"]
        for token in json.loads((target / "tokenizer.json").read_text())["added_tokens"]
    }
    assert ids["<|endoftext|>"] == words
    assert ids["<|30.00|>"] == sizes.vocab_size - 1
    assert ("<|yue|>" in ids) == (sizes is LARGE or sizes.vocab_size == 51866)


def test_names_go_both_ways() -> None:
    for name in random_weights(SIZES):
        assert huggingface_name(openai_name(name)) == name


def test_each_layout_is_told_and_inspected(tmp_path: Path) -> None:
    sizes = four_times(SIZES)
    weights = random_weights(sizes)
    original = write_openai(tmp_path / "o" / "x.pt", sizes, weights)
    write_words(original.parent, 50257)
    ct2 = tmp_path / "c"
    ct2.mkdir()
    (ct2 / "model.bin").write_bytes(model_bytes(whisper_file(sizes, weights)))
    (ct2 / "config.json").write_text(json.dumps(ct2_config()))
    (ct2 / "tokenizer.json").write_text(json.dumps(ct2_tokenizer()))
    hugging_face = tmp_path / "h"
    hugging_face.mkdir()
    files = checkpoint_files(sizes, "float32", ct2_config(), ct2_tokenizer())
    for name, content in files.items():
        (hugging_face / name).write_text(json.dumps(content))
    write_safetensors(hugging_face / "model.safetensors", weights, "float32")
    for path, kind in (
        (original, layouts.OPENAI),
        (original.parent, layouts.OPENAI),
        (ct2, layouts.CTRANSLATE2),
        (hugging_face, layouts.HUGGING_FACE),
    ):
        found = inspect_whisper(path)
        assert found is not None
        assert (found.layout, found.dimensions, found.problems) == (kind, sizes, ())
        assert (found.multilingual, found.languages) == (True, 99)
    assert loadable(str(hugging_face)) == str(hugging_face)
    expected = (hugging_face / "model.safetensors").read_bytes()
    for path in (original, ct2):
        folder = Path(loadable(str(path)))
        assert (folder / "model.safetensors").read_bytes() == expected
        changed = (folder / "model.safetensors").stat().st_mtime_ns
        assert Path(loadable(str(path))) == folder
        assert (folder / "model.safetensors").stat().st_mtime_ns == changed


# As published: width, layers a side, heads, mel bins, words; languages, and heads that may align.
PUBLISHED = {
    "large-v3": ((1280, 32, 32, 20, 128, 51_866), 100, 16 * 20),
    "large-v3-turbo": ((1280, 32, 4, 20, 128, 51_866), 100, 2 * 20),
    "distil-large-v3": ((1280, 32, 2, 20, 128, 51_866), 100, 1 * 20),
    "distil-small.en": ((768, 12, 4, 12, 80, 51_864), 1, 2 * 12),
}


@cache
def tokenizer_of(words: int) -> Any:
    """A tokenizer for a Whisper of so many tokens."""
    kind, texts = ("gpt2", 50_256) if words == 51_864 else ("multilingual", 50_257)
    with TemporaryDirectory() as folder:
        write_ranks(Path(folder) / f"{kind}.tiktoken", texts)
        return find_tokenizer(Path(folder) / "x.pt", words)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_shapes_are_known_from_their_config_alone(tmp_path: Path, name: str) -> None:
    (width, encoder, decoder, heads, mels, words), languages, aligned = PUBLISHED[name]
    sizes = dimensions(
        d_model=width,
        encoder_layers=encoder,
        decoder_layers=decoder,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        num_mel_bins=mels,
        vocab_size=words,
        max_source_positions=1500,
        max_target_positions=448,
    )
    sizes = four_times(sizes)
    for file, content in checkpoint_files(sizes, "float16", {}, tokenizer_of(words)).items():
        (tmp_path / file).write_text(json.dumps(content))
    found = inspect_whisper(tmp_path)
    assert found is not None
    assert (found.layout, found.dimensions) == (layouts.HUGGING_FACE, sizes)
    assert (found.multilingual, found.languages) == (languages > 1, languages)
    assert found.problems == ("no weight file (*.safetensors or *.bin)",)
    facts = read_whisper(tmp_path)
    assert (facts.mel_bins, facts.multilingual, facts.longest_text) == (mels, languages > 1, 224)
    assert len(facts.heads) == aligned
    assert {layer for layer, _ in facts.heads} == set(range(decoder // 2, decoder))
    assert facts.vocabulary.size == words
    assert len(facts.forced(None, "transcribe")) == (2 if languages > 1 else 0)
    assert len(facts.vocabulary.languages) == max(languages, 99)


def test_a_hub_id_is_judged_by_its_name(tmp_path: Path) -> None:
    names = ("openai/whisper-tiny", "someone/llama", str(tmp_path))
    assert [may_be_whisper(name) for name in names] == [True, False, False]


def test_other_models_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    assert inspect_whisper(tmp_path) is None
    assert loadable(str(tmp_path)) == str(tmp_path)
    assert loadable("openai/whisper-tiny") == "openai/whisper-tiny"


def test_an_original_file_without_a_vocabulary_says_where_to_get_one(tmp_path: Path) -> None:
    sizes = four_times(SIZES)
    path = write_openai(tmp_path / "x.pt", sizes, random_weights(sizes))
    found = inspect_whisper(path)
    assert found is not None
    assert "sensorium pull whisper-base" in found.problems[0]
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        loadable(str(path))


def test_files_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    import torch

    sizes = four_times(SIZES)
    weights = random_weights(sizes)
    write_words(tmp_path, 50257)
    name = "model.decoder.layers.0.fc1.bias"
    wrong: dict[str, tuple[Weights, dict[str, Any]]] = {
        "missing or too many": ({k: v for k, v in weights.items() if k != name}, {}),
        "too many": (weights, {"decoder.blocks.7.mlp_ln.bias": torch.zeros(4)}),
        "shape": ({**weights, name: weights[name][:-1].copy()}, {}),
        "not finite": ({**weights, name: weights[name] * float("nan")}, {}),
    }
    for words, (changed, extra) in wrong.items():
        path = write_openai(tmp_path / "x.pt", sizes, changed, **extra)
        with pytest.raises(CheckpointError, match=words):
            convert_openai(path, tmp_path / "target")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError):
        convert_openai(path, tmp_path / "target")
    with pytest.raises(CheckpointError):
        inspect_whisper(path)
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="no Whisper"):
        convert_openai(path, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_the_authors_own_vocabulary_file_is_read(tmp_path: Path) -> None:
    path = write_ranks(tmp_path / "multilingual.tiktoken", 50256)
    last = base64.b64encode(bytes([0, 0, 0, 1])) + b" 50256"
    path.write_bytes(path.read_bytes() + b"\n" + last)
    model = find_tokenizer(tmp_path / "x.pt", 51865)["model"]
    assert model["vocab"]["A"] == 65
    assert model["merges"][256 * 32 + 65] == ["Ġ", "A"]
    # The last word is spelt by merging its first and last two bytes, and then these.
    assert [len(half) for half in model["merges"][-1]] == [2, 2]


def test_languages() -> None:
    assert len(LANGUAGES) == 100
    assert list(LANGUAGES)[:3] == ["en", "zh", "de"]
    for name, code in (("DE", "de"), ("German", "de"), ("Castilian", "es"), ("zh-CN", "zh")):
        assert find_language(name) == code
    assert find_language("haitian creole") == "ht"
    assert [find_language(name) for name in ("", "xx", "klingon", "-de")] == [None] * 4
