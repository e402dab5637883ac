"""Chats with an audio model of vLLM's over HTTP: every rate is taken, too long a sound refused."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest

from tests.kit.live_server import LiveServer

pytestmark = pytest.mark.engine


def wav(seconds: float, rate: int = 16_000, channels: int = 1) -> str:
    import soundfile

    place = np.arange(round(seconds * rate)) / rate
    tone = 0.4 * np.sin(2 * np.pi * 440 * place)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([tone] * channels, axis=1), rate, format="WAV")
    return base64.b64encode(buffer.getvalue()).decode()


def chat(server: LiveServer, *sounds: str, url: bool = False) -> httpx.Response:
    parts: list[dict[str, Any]] = []
    for data in sounds:
        if url:
            parts.append(
                {"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{data}"}}
            )
        else:
            parts.append({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})
    parts.append({"type": "text", "text": "What is this?"})
    body = {
        "model": "tiny-audio",
        "messages": [{"role": "user", "content": parts}],
        "max_completion_tokens": 4,
        "temperature": 0,
    }
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)


def audio_tokens(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    found: int = answer.json()["usage"]["prompt_tokens_details"]["audio_tokens"]
    return found


def test_rates_channels_and_kinds_of_parts(server: LiveServer) -> None:
    """Two seconds are 50 tokens, however they come."""
    assert audio_tokens(chat(server, wav(2))) == 50
    assert audio_tokens(chat(server, wav(2, 44_100, channels=2))) == 50
    assert audio_tokens(chat(server, wav(2, 8_000), url=True)) == 50
    assert audio_tokens(chat(server, wav(2), wav(1, 48_000, channels=6))) == 75
    assert audio_tokens(chat(server)) == 0


def test_a_sound_is_never_cut(server: LiveServer) -> None:
    assert audio_tokens(chat(server, wav(30, 8_000))) == 750
    answer = chat(server, wav(2), wav(30.5, 44_100))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "messages.0.content.1.input_audio.data"
    assert "30.50 s of sound; Qwen2-Audio hears at most 30 s" in error["message"]
