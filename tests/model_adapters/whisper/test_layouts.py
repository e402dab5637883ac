"""OpenAI's, CTranslate2's and Hugging Face's layouts: told apart, inspected, rewritten, refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
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
from tests.kit.ct2_files import (
    Weights,
    ct2_config,
    ct2_tokenizer,
    dimensions,
    model_bytes,
    random_weights,
    whisper_file,
)

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


def openai_name(name: str) -> str:
    """The name in OpenAI's files of a weight named as Hugging Face does."""
    parts = {
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
    out = ".".join(parts.get(part, part) for part in name.removeprefix("model.").split("."))
    out = out.replace("embed_positions.weight", "positional_embedding")
    for side, norm in (("encoder", "ln_post"), ("decoder", "ln")):
        out = out.replace(f"{side}.layer_norm.", f"{side}.{norm}.")
    return out


def write_openai(path: Path, sizes: Any, weights: Weights, **extra: Any) -> Path:
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


def four_times(sizes: Any) -> Any:
    """OpenAI's feed-forward layers are always four times as wide."""
    from dataclasses import replace

    return replace(sizes, encoder_ffn_dim=4 * sizes.d_model, decoder_ffn_dim=4 * sizes.d_model)


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
    letters = [bytes([byte]) for byte in range(256)]
    pairs = [one + two for one in letters for two in letters][: 50257 - 256 - 1]
    words = [*letters, *pairs, pairs[0] + pairs[1]]
    lines = [base64.b64encode(word) + b" %d" % rank for rank, word in enumerate(words)]
    (tmp_path / "multilingual.tiktoken").write_bytes(b"\n".join(lines))
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
