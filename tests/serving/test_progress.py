"""What a person reads while the server starts."""

from __future__ import annotations

import io

from sensorium.serving.models import ModelSlot, ModelTable
from sensorium.serving.progress import Progress
from sensorium.serving.testing.fake_model import FakeModel


def shown(*slots: ModelSlot, keys: tuple[str, ...] = ()) -> str:
    stream = io.StringIO()
    Progress(stream).ready("http://127.0.0.1:8000", ModelTable(slots), keys)
    return stream.getvalue()


def test_stages_say_when_they_begin_and_how_long_they_took() -> None:
    stream = io.StringIO()
    with Progress(stream).stage("loading eyes"):
        assert stream.getvalue().endswith("loading eyes ...\n")
    assert "loading eyes: done in 0.0 s" in stream.getvalue()


def test_the_end_has_the_address_the_models_and_an_example() -> None:
    eyes = ModelSlot(("eyes", "alias"), FakeModel(media_limits={"image": 4, "video": 0}))
    text = shown(eyes)
    assert "http://127.0.0.1:8000/v1" in text
    assert "eyes   chat, completions; up to 4 image a prompt" in text
    assert "alias  chat" in text
    assert "curl http://127.0.0.1:8000/v1/chat/completions" in text
    assert "Authorization" not in text


def test_the_example_asks_for_the_key_without_showing_it() -> None:
    text = shown(ModelSlot(("eyes",), FakeModel()), keys=("secret",))
    assert "YOUR_KEY" in text
    assert "secret" not in text


def test_a_server_that_only_transcribes() -> None:
    ears = FakeModel(capabilities=frozenset({"transcription"}))
    assert "sensorium transcribe" in shown(ModelSlot(("ears",), ears))
