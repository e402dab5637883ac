"""What Mistral's tokenizer is given of media: nothing that it could fetch, and the same tokens."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.families.audio_checkpoints import voxtral
from tests.families.audio_reference import wav

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]
RATE = 16_000
TEXT = {"type": "text", "text": "What is this?"}
ADDRESS = {"type": "audio_url", "audio_url": {"url": "http://127.0.0.1:1/secret.wav"}}
PICTURE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/secret.png"}}


def stand_ins(content: Any, **media: Any) -> list[Any]:
    from sensorium.model_adapters.engine.mistral_renderer import with_stand_ins

    return with_stand_ins([{"role": "user", "content": content}], media, RATE)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from vllm.tokenizers.mistral import MistralTokenizer

    folder: Path = tmp_path_factory.mktemp("voxtral")
    voxtral.write_tokenizer(folder)
    return MistralTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("count", [1, RATE, 30 * RATE, 30 * RATE + 1, 61 * RATE + 7])
def test_tokens_are_those_of_the_sound(tokenizer: Any, count: int) -> None:
    samples = np.full(count, 0.1, np.float32)
    data = base64.b64encode(wav(samples)).decode()
    whole = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    theirs = tokenizer.apply_chat_template([{"role": "user", "content": [whole, TEXT]}])
    ours = tokenizer.apply_chat_template(stand_ins([ADDRESS, TEXT], audio=[(samples, RATE)]))
    assert ours == theirs


def test_a_sound_of_another_rate_counts_at_the_models(tokenizer: Any) -> None:
    at_44_100 = (np.zeros(44_100 * 31, np.float32), 44_100)
    at_16_000 = (np.zeros(16_000 * 31, np.float32), 16_000)
    one, other = (stand_ins([ADDRESS, TEXT], audio=[it]) for it in (at_44_100, at_16_000))
    assert tokenizer.apply_chat_template(one) == tokenizer.apply_chat_template(other)


def test_no_address_is_left() -> None:
    media = {"audio": [(np.zeros(9, np.float32), RATE)], "image": [Image.new("RGB", (70, 30))]}
    [message] = stand_ins([ADDRESS, PICTURE, TEXT], **media)
    assert "127.0.0.1" not in str(message)
    assert message["content"][2] == TEXT
    url = message["content"][1]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,")
    assert stand_ins("a text")[0]["content"] == "a text"


def test_a_medium_that_was_not_loaded() -> None:
    with pytest.raises(ValueError, match="audio_url came without its audio"):
        stand_ins([ADDRESS])


def test_it_is_vllms_renderer_for_mistral() -> None:
    from vllm.plugins import load_general_plugins
    from vllm.renderers.registry import RENDERER_REGISTRY

    load_general_plugins()
    found = RENDERER_REGISTRY.load_renderer_cls("mistral")
    assert found.__module__ == "sensorium.model_adapters.engine.mistral_renderer"
