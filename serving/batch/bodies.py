"""From a prompt and media to the body of a request, and the parameters every row shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sensorium.serving.batch.rows import ENDPOINTS, FORM_ENDPOINTS, Problem, Row

__all__ = ["RowMaker"]

_PARTS = {"image": "image_url", "audio": "audio_url", "video": "video_url"}


@dataclass(frozen=True)
class RowMaker:
    """Makes rows for one endpoint.

    `defaults` fill what a row's body does not say; `model`, when given, replaces what it says.
    """

    endpoint: str = ENDPOINTS[0]
    model: str | None = None
    system: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def finish(self, row: Row) -> Row:
        """Put the shared parameters into a row's body."""
        if row.problem is None:
            row.body = {**self.defaults, **row.body}
            if self.model is not None:
                row.body["model"] = self.model
            # One row, one whole answer: there is nobody to stream to.
            row.body.pop("stream", None)
            row.body.pop("stream_options", None)
        return row

    def make(
        self,
        number: int,
        custom_id: str,
        prompt: str | None,
        media: Mapping[str, Sequence[str]],
    ) -> Row:
        """A row of a prompt and media (`image`, `audio`, `video`: paths or URLs)."""
        row = Row(number, custom_id, self.endpoint)
        if self.endpoint in FORM_ENDPOINTS:
            sounds = [*media.get("audio", ()), *media.get("video", ())]
            if len(sounds) != 1:
                message = f"this endpoint takes one sound a row, got {len(sounds)}"
                row.problem = Problem("invalid_row", message)
                return row
            row.body = {"file": sounds[0], **({"prompt": prompt} if prompt else {})}
        elif self.endpoint == "/v1/chat/completions":
            row.body = {"messages": self._messages(prompt, media)}
        elif any(media.values()):
            message = f"{self.endpoint} takes no media; use /v1/chat/completions"
            row.problem = Problem("invalid_row", message)
        else:
            name = "prompt" if self.endpoint == "/v1/completions" else "input"
            row.body = {name: prompt or ""}
        return self.finish(row)

    def _messages(
        self, prompt: str | None, media: Mapping[str, Sequence[str]]
    ) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = [
            {"type": _PARTS[modality], _PARTS[modality]: {"url": url}}
            for modality, urls in media.items()
            for url in urls
        ]
        content: Any = prompt or ""
        if parts:
            content = [*parts, *([{"type": "text", "text": prompt}] if prompt else [])]
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": content}]
