"""What to send, as the command line says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensorium.benchmarks.workload.mix import Mix

__all__ = ["ENDPOINTS", "WorkloadSettings"]

ENDPOINTS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "transcriptions": "/v1/audio/transcriptions",
}


@dataclass(frozen=True)
class WorkloadSettings:
    """One workload; equal settings and seeds send equal bytes.

    `reuse` is the share of requests whose media are those of an earlier request. `words_per_token`
    turns `input_tokens` into words; see `calibrate`.
    """

    model: str
    endpoint: str = "chat"
    seed: int = 0
    input_tokens: int = 64
    output_tokens: int = 64
    prompts: tuple[str, ...] = ()
    images: Mix[tuple[int, int]] | None = None
    images_per_request: int = 1
    image_formats: Mix[str] = field(default_factory=lambda: Mix(("jpeg",), (1.0,)))
    image_quality: int = 90
    sounds: Mix[float] | None = None
    sound_format: str = "wav"
    clips: Mix[tuple[int, tuple[int, int]]] | None = None
    files: tuple[Path, ...] = ()
    reuse: float = 0.0
    ignore_eos: bool = False
    stream: bool = True
    extra_body: dict[str, Any] = field(default_factory=dict)
    words_per_token: float = 0.75
