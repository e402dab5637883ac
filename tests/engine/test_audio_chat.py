"""Chats with an audio model of vLLM's over HTTP: sounds of every rate and of many channels."""

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
        "model": "demo",
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
    """A second is 13 tokens of `demo`, a Qwen3-Omni, however it comes."""
    assert audio_tokens(chat(server, wav(2))) == 26
    assert audio_tokens(chat(server, wav(2, 44_100, channels=2))) == 26
    assert audio_tokens(chat(server, wav(2, 8_000), url=True)) == 26
    assert audio_tokens(chat(server, wav(2), wav(1, 48_000, channels=6))) == 39
    assert audio_tokens(chat(server)) == 0
