"""What the conformance tests share: the server they talk to, and what they have counted."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.kit.media import beeps

KEY = "My API Key"  # what openai-python's tests send
COUNTS: list[str] = []  # printed at the end of the run


class Conformance:
    """`client` talks to the server at `url`; `early` is an answer from before it was ready."""

    def __init__(self, url: str, client: httpx.Client, early: httpx.Response, folder: Path) -> None:
        self.url = url
        self.client = client
        self.early = early
        self.folder = folder

    @property
    def sound(self) -> Path:
        """A short WAV file."""
        path = self.folder / "sound.wav"
        if not path.exists():
            path.write_bytes(beeps(2))
        return path


def report_counts(line: str) -> None:
    """Have a line printed at the end of the run."""
    COUNTS.append(line)
