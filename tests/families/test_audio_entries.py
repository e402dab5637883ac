"""The table of audio models, and what the command line says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sensorium.model_adapters.audio_model import AudioModel
from sensorium.model_adapters.audio_models import AUDIO_MODELS, audio_model, find_audio_model
from sensorium.serving.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
QWEN2_AUDIO = {"architectures": ["Qwen2AudioForConditionalGeneration"], "model_type": "qwen2_audio"}


@pytest.mark.parametrize("model", AUDIO_MODELS, ids=lambda model: model.name)
class TestEveryEntry:
    def test_it_is_found_by_its_architectures(self, model: AudioModel) -> None:
        for architecture in model.architectures:
            assert find_audio_model({"architectures": [architecture]}) is model
        assert audio_model(model.name) is model

    def test_its_proof_names_it(self, model: AudioModel) -> None:
        if model.proof:
            assert f'"{model.name}": Proof(' in (ROOT / model.proof).read_text(encoding="utf-8")
        else:
            assert model.needs  # what keeps it from being proven here

    def test_a_limit_is_enforced(self, model: AudioModel) -> None:
        """A class of ours stands in for vLLM's, and keeps sounds to the entry."""
        if model.seconds is None:
            return
        places = ROOT / "model_adapters" / "engine" / "native"
        written = [path.read_text(encoding="utf-8") for path in places.glob("*.py")]
        assert any(f'@hears("{model.name}")' in text for text in written)

    def test_lengths(self, model: AudioModel) -> None:
        if model.seconds is None:
            assert model.too_long(1e6) is None
            return
        assert model.too_long(model.seconds) is None
        said = model.too_long(model.seconds + 0.5)
        assert said is not None
        assert f"{model.seconds + 0.5:.2f} s" in said
        assert f"at most {model.seconds:g} s" in said


def test_names_and_architectures_are_one_entrys_only() -> None:
    names = [model.name for model in AUDIO_MODELS]
    architectures = [name for model in AUDIO_MODELS for name in model.architectures]
    assert len(set(names)) == len(names)
    assert len(set(architectures)) == len(architectures)


def test_a_config_of_something_else() -> None:
    assert find_audio_model({"architectures": ["LlamaForCausalLM"]}) is None
    assert find_audio_model({}) is None
    assert audio_model("") is None


def test_inspect_shows_the_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(QWEN2_AUDIO))
    (tmp_path / "generation_config.json").write_text(json.dumps({"top_p": 0.5, "eos": 7}))
    assert main(["inspect", str(tmp_path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["family"], found["rate"], found["seconds"]) == ("qwen2-audio", 16_000, 30)
    assert found["sampling"] == {"top_p": 0.5}
    assert not found["template"]
    assert found["problems"] == ["no weight file (*.safetensors, *.bin, *.pth)"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "it"}))
    index = {"metadata": {"total_size": 16_000_000_000}, "weight_map": {"a": "a.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    main(["inspect", str(tmp_path)])
    text = capsys.readouterr().out
    assert "vLLM's own class for Qwen2AudioForConditionalGeneration" in text
    assert "30 s; a sound over 30 s is refused, never cut" in text
    assert "the checkpoint's own template" in text
    assert "16.0 GB" in text


def test_families_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    main(["families", "--json"])
    rows = {row["family"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["qwen2-audio"]["class"] == "native"
    assert rows["qwen2-audio"]["audio"]["seconds"] == 30
    main(["families"])
    assert "Qwen2-Audio" in capsys.readouterr().out
