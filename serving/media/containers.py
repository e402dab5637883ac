"""Files that FFmpeg reads, opened so that they can name no other file and no address."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sensorium.serving.media.work import MediaRefusedError

__all__ = ["opened"]


@contextmanager
def opened(content: bytes, kind: str) -> Iterator[Any]:
    """A PyAV container of the file's bytes.

    What FFmpeg raises while it is used becomes a MediaRefusedError that calls the file a `kind`.
    """
    import av

    try:
        # Playlists name other files and addresses: both ways to reach them are closed.
        options = {"protocol_whitelist": "pipe"}
        with av.open(
            io.BytesIO(content), metadata_errors="ignore", options=options, io_open=_refuse
        ) as container:
            yield container
    except av.error.FFmpegError as error:
        words = (error.strerror or str(error)).lower()
        raise MediaRefusedError(f"not a {kind} that this server reads ({words})") from None


def _refuse(url: str, flags: int, options: object) -> NoReturn:
    raise PermissionError("a file that names other files is not read")
