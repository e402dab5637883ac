"""What is committed: weights, their checksum, configuration, report and samples."""

from __future__ import annotations

import json
import wave
from typing import Any

import pytest
from PIL import Image

from sensorium.model_adapters.demo import CHECKPOINT, SAMPLES
from sensorium.model_adapters.demo.__main__ import main
from sensorium.model_adapters.demo.evaluate import SEED
from sensorium.model_adapters.demo.samples import QUESTIONS
from sensorium.model_adapters.demo.tokenizer import CHAT_TEMPLATE
from sensorium.model_adapters.demo.weights import WEIGHTS_FILE, file_sha256

FLOORS = {
    "color": 0.97,
    "shape": 0.97,
    "count": 0.97,
    "count_shape": 0.97,
    "count_color": 0.97,
    "exists": 0.97,
    "where": 0.97,
    "relation": 0.97,
    "size": 0.97,
    "extreme": 0.97,
    "background": 0.97,
    "list": 0.95,
    "describe": 0.95,
    "read": 0.88,
    "describe_text": 0.88,
    "text_color": 0.97,
    "sign_color": 0.97,
    "v_happen": 0.93,
    "v_describe": 0.93,
    "v_dir": 0.93,
    "v_what": 0.93,
    "v_yn": 0.93,
    "v_color": 0.93,
    "s_what": 0.95,
    "s_count": 0.95,
    "s_pitch": 0.95,
    "s_sweep": 0.95,
    "a_kind": 0.95,
    "transcribe_digits": 0.85,
    "transcribe_command": 0.85,
    "transcribe_color": 0.85,
    "declines": 0.97,
    "unattached": 0.97,
}
"""What the committed report must show; a worse report is a mistake, not a new floor."""


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((CHECKPOINT / "eval.json").read_text())
    return read


def test_weights_are_the_ones_that_were_committed() -> None:
    weights = CHECKPOINT / WEIGHTS_FILE
    committed, name = (CHECKPOINT / "SHA256SUMS").read_text().split()
    assert name == WEIGHTS_FILE
    assert file_sha256(weights) == committed
    assert weights.stat().st_size <= 12_000_000


def test_the_report_is_about_these_weights(report: dict[str, Any]) -> None:
    assert report["weights_sha256"] == file_sha256(CHECKPOINT / WEIGHTS_FILE)
    assert report["seed"] == SEED


def test_every_score_adds_up(report: dict[str, Any]) -> None:
    assert report["fonts"]
    assert report["voices"]
    for kind, score in report["types"].items():
        low, high = score["interval"]
        assert 0 <= low <= score["accuracy"] <= high <= 1, kind
        assert score["accuracy"] == pytest.approx(score["right"] / score["n"], abs=1e-4), kind


@pytest.mark.parametrize("kind", sorted(FLOORS))
def test_reported_accuracy_holds_its_floor(report: dict[str, Any], kind: str) -> None:
    assert report["types"][kind]["accuracy"] >= FLOORS[kind]


def test_configuration_is_dense_and_placed() -> None:
    config = json.loads((CHECKPOINT / "config.json").read_text())
    thinker = config["thinker_config"]
    assert config["architectures"] == ["Qwen3OmniMoeForConditionalGeneration"]
    layers = thinker["text_config"]["num_hidden_layers"]
    assert thinker["text_config"]["mlp_only_layers"] == list(range(layers))
    assert thinker["vision_config"]["apply_vit_abs_pos_embed"] is True
    assert thinker["vision_config"]["deepstack_visual_indexes"] == []
    assert (CHECKPOINT / "chat_template.jinja").read_text() == CHAT_TEMPLATE


def test_samples_are_there_and_open() -> None:
    listed = json.loads((SAMPLES / "questions.json").read_text())
    assert {name: (q["question"], q["answer"]) for name, q in listed.items()} == QUESTIONS
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 400_000
    for name in QUESTIONS:
        path = SAMPLES / name
        if path.suffix in (".png", ".jpg"):
            with Image.open(path) as image:
                assert 320 <= image.width <= 1280
        elif path.suffix == ".wav":
            with wave.open(str(path)) as sound:
                assert sound.getframerate() == 16_000
        else:
            assert path.read_bytes()[4:8] == b"ftyp"


def test_the_clip_lasts_four_seconds() -> None:
    av = pytest.importorskip("av")
    with av.open(str(SAMPLES / "moves.mp4")) as container:
        frames = sum(1 for _ in container.decode(video=0))
        assert frames / float(container.streams.video[0].average_rate) == pytest.approx(4)


def test_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("train", "evaluate", "export", "render-samples"))
