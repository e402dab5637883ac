"""Media uploaded to the server under test through /v1/files, and deleted afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx

from sensorium.benchmarks.workload.media import MediaFile
from sensorium.benchmarks.workload.wire import FileWire
from sensorium.serving.client import LOOPBACK
from sensorium.serving.errors import UserError

__all__ = ["uploaded_wire"]

_SECONDS = 60.0


@contextmanager
def uploaded_wire(root: str, api_key: str | None) -> Iterator[FileWire]:
    """A wire that uploads each medium once to the server at `root`."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    local = httpx.URL(root).host in LOOPBACK
    ids: list[str] = []
    with httpx.Client(
        base_url=root, headers=headers, timeout=_SECONDS, trust_env=not local
    ) as client:

        def upload(medium: MediaFile) -> str:
            name = f"medium.{medium.subtype}"
            file = {"file": (name, medium.content, medium.media_type)}
            answer = client.post("/v1/files", data={"purpose": "user_data"}, files=file)
            if answer.is_error:
                raise UserError(
                    f"--wire file: the server refused an upload to /v1/files "
                    f"(HTTP {answer.status_code}): {answer.text[:200]}"
                )
            ids.append(str(answer.json()["id"]))
            return ids[-1]

        try:
            yield FileWire(upload)
        finally:
            with suppress(httpx.HTTPError):
                for known in ids:
                    client.delete(f"/v1/files/{known}")
