import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorium.model_adapters.ct2 import CT2Error, bfloat16_to_float32, convert_whisper
from sensorium.model_adapters.ct2.convert import convert_folder
from sensorium.model_adapters.ct2.huggingface import TIMESTAMPS, checkpoint_files
from sensorium.model_adapters.ct2.safetensors_writer import write_safetensors
from tests.kit.ct2_files import (
    ct2_config,
    ct2_tokenizer,
    dimensions,
    model_bytes,
    random_weights,
    whisper_file,
)

SIZES = dimensions()
WEIGHTS = random_weights(SIZES)


def read_safetensors(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Another reading of the format, so that the writer is not checked by itself."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    out = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        raw = data[8 + length + start : 8 + length + end]
        kind = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[entry["dtype"]]
        values = np.frombuffer(raw, kind).reshape(entry["shape"])
        out[name] = bfloat16_to_float32(values) if entry["dtype"] == "BF16" else values
    assert sum(entry["data_offsets"][1] - entry["data_offsets"][0] for entry in header.values())
    assert 8 + length + max(e["data_offsets"][1] for e in header.values()) == len(data)
    return out


def files(words: int = 51865, **changes: Any) -> dict[str, dict[str, Any]]:
    return checkpoint_files(
        dimensions(vocab_size=words), "float16", {**ct2_config(), **changes}, ct2_tokenizer(words)
    )


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "int8"])
def test_a_folder_becomes_a_checkpoint(tmp_path: Path, kind: str) -> None:
    source, target = tmp_path / "ct2", tmp_path / "hf" / "model"
    source.mkdir()
    (source / "model.bin").write_bytes(model_bytes(whisper_file(SIZES, WEIGHTS, kind)))
    (source / "config.json").write_text(json.dumps(ct2_config()))
    (source / "tokenizer.json").write_text(json.dumps(ct2_tokenizer()))
    convert_folder(source, target)
    assert sorted(path.name for path in target.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    config = json.loads((target / "config.json").read_text())
    assert config["dtype"] == ("float32" if kind == "int8" else kind)
    assert config["architectures"] == ["WhisperForConditionalGeneration"]
    tensors = read_safetensors(target / "model.safetensors")
    assert tensors.keys() == WEIGHTS.keys()
    tolerance = 2 / 254 if kind == "int8" else 0
    for name, expected in WEIGHTS.items():
        np.testing.assert_allclose(tensors[name], expected, rtol=0, atol=tolerance, err_msg=name)


def test_the_config_holds_the_dimensions_and_ids() -> None:
    config = files()["config.json"]
    assert config["d_model"] == 4
    assert config["encoder_attention_heads"] == 2
    assert config["vocab_size"] == 51865
    assert config["decoder_start_token_id"] == 50258
    assert config["eos_token_id"] == 50257
    assert config["suppress_tokens"] == [1, 2, 50358]
    assert config["begin_suppress_tokens"] == [220, 50257]


def test_the_generation_config_takes_ids_by_name() -> None:
    generation = files()["generation_config.json"]
    assert generation["is_multilingual"] is True
    assert generation["no_timestamps_token_id"] == 50363
    assert generation["prev_sot_token_id"] == 50361
    assert generation["task_to_id"] == {"transcribe": 50359, "translate": 50358}
    assert len(generation["lang_to_id"]) == 99
    assert generation["lang_to_id"]["<|lang0|>"] == 50259
    assert generation["alignment_heads"] == [[0, 1]]


def test_large_v3_has_one_language_more() -> None:
    generation = files(words=51866)["generation_config.json"]
    assert generation["no_timestamps_token_id"] == 50364
    assert len(generation["lang_to_id"]) == 100


def test_an_english_only_model_has_no_languages_and_no_tasks() -> None:
    generation = files(words=51864)["generation_config.json"]
    assert generation["is_multilingual"] is False
    assert generation["eos_token_id"] == 50256
    assert not {"lang_to_id", "task_to_id"} & generation.keys()


def test_timestamp_tokens_are_added_once_and_in_order() -> None:
    tokenizer = files()["tokenizer.json"]
    stamps = tokenizer["added_tokens"][-1501:]
    assert (stamps[0]["content"], stamps[0]["id"]) == ("<|0.00|>", 50364)
    assert (stamps[-1]["content"], stamps[-1]["id"]) == ("<|30.00|>", 51864)
    assert [stamp["content"] for stamp in stamps] == list(TIMESTAMPS)
    again = checkpoint_files(dimensions(), "float16", ct2_config(), tokenizer)
    assert again["tokenizer.json"] == tokenizer


def test_keys_that_older_files_lack_are_left_out() -> None:
    generation = files(alignment_heads=None, suppress_ids=None)["generation_config.json"]
    assert not {"alignment_heads", "suppress_tokens"} & generation.keys()


def without(token: str) -> dict[str, Any]:
    tokenizer = ct2_tokenizer()
    kept = [entry for entry in tokenizer["added_tokens"] if entry["content"] != token]
    return {**tokenizer, "added_tokens": kept}


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ({}, "no readable list `added_tokens`"),
        ({"added_tokens": [3]}, "no readable list `added_tokens`"),
        (without("<|notimestamps|>"), r"lacks Whisper's <\|notimestamps\|>"),
        (ct2_tokenizer(51866), "the model has 51865 tokens, but the tokenizer 51866"),
        (ct2_tokenizer(51864), "the model has 51865 tokens, but the tokenizer 51864"),
    ],
)
def test_a_tokenizer_of_another_model_is_refused(tokenizer: dict[str, Any], message: str) -> None:
    with pytest.raises(CT2Error, match=message):
        checkpoint_files(SIZES, "float32", ct2_config(), tokenizer)


def test_shifted_token_ids_are_refused() -> None:
    tokenizer = ct2_tokenizer()
    for token in tokenizer["added_tokens"]:
        token["id"] -= 10
    with pytest.raises(CT2Error, match="has id 50247; a Whisper tokenizer has it at 50256"):
        checkpoint_files(SIZES, "float32", ct2_config(), tokenizer)


@pytest.mark.parametrize("ids", ["1", [1.5], [60000], [-2]])
def test_bad_suppressed_ids_are_refused(ids: object) -> None:
    with pytest.raises(CT2Error, match="suppress_ids must be a list of token ids below 51865"):
        files(suppress_ids=ids)


def test_nothing_is_written_for_a_bad_model(tmp_path: Path) -> None:
    with pytest.raises(CT2Error, match="cut off"):
        convert_whisper(b"\6\0\0\0", ct2_config(), ct2_tokenizer(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("config.json", "{", "config.json is not JSON"),
        ("config.json", "[]", "config.json holds a list"),
    ],
)
def test_bad_files_beside_the_model_are_refused(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    for present in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / present).write_text("{}")
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises(CT2Error, match=message):
        convert_folder(tmp_path, tmp_path / "out")


def test_the_writer_wants_the_type_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x is float64; float32 is needed"):
        write_safetensors(tmp_path / "f", {"x": np.zeros(1)}, "float32")


def test_the_module_is_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ct2", str(tmp_path / "nothing"), str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module("sensorium.model_adapters.ct2", run_name="__main__")
    assert exit_.value.code == 1
    assert "has no model.bin" in capsys.readouterr().err
