"""What a person sees while the server starts: stages with their seconds, then how to use it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from sensorium.serving.models import ModelTable

__all__ = ["Progress"]


class Progress:
    """Writes one line when a stage begins and one when it ends; no cursor tricks, so logs keep."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()

    def line(self, text: str) -> None:
        """One line, with the seconds since the start."""
        seconds = time.monotonic() - self._began
        print(f"[{seconds:6.1f} s] {text}", file=self._stream, flush=True)

    @contextmanager
    def stage(self, what: str) -> Iterator[None]:
        """Announce `what`, and how long it took once it is done."""
        began = time.monotonic()
        self.line(f"{what} ...")
        yield
        self.line(f"{what}: done in {time.monotonic() - began:.1f} s")

    def ready(self, address: str, models: ModelTable, keys: Sequence[str]) -> None:
        """Where the server is, what it serves, and a command to paste."""
        self.line("ready")
        lines = ["", f"  {address}/v1   (documentation: {address}/docs)", ""]
        width = max(len(name) for name in models.names())
        for name, _, model in models.ready():
            abilities = ", ".join(sorted(model.capabilities))
            media = ", ".join(f"{most} {kind}" for kind, most in model.media_limits.items() if most)
            taken = f"; up to {media} a prompt" if media and "chat" in model.capabilities else ""
            lines.append(f"  {name:<{width}}  {abilities}{taken}")
        lines += ["", "  Try:", *_example(address, models, bool(keys)), ""]
        print("\n".join(lines), file=self._stream, flush=True)


def _example(address: str, models: ModelTable, needs_key: bool) -> list[str]:
    for name, _, model in models.ready():
        if "chat" in model.capabilities:
            body = {"model": name, "messages": [{"role": "user", "content": "What can you do?"}]}
            return [
                f"  curl {address}/v1/chat/completions \\",
                *(["    -H 'Authorization: Bearer YOUR_KEY' \\"] if needs_key else []),
                "    -H 'Content-Type: application/json' \\",
                f"    -d '{json.dumps(body)}'",
            ]
    name = next(name for name, _, _ in models.ready())
    return [f"  sensorium transcribe --url {address} --model {name} RECORDING.wav"]
