"""Serves a folder of media over HTTP on this machine, from a process of its own.

    python -P -m sensorium.benchmarks.workload.media_host FOLDER HOST

In the generator's own process it would take turns with the sending.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sensorium.benchmarks.workload.media import MediaFile
from sensorium.benchmarks.workload.wire import HttpWire

__all__ = ["hosted_wire"]

_SUFFIXES = {"mpeg": "mp3", "quicktime": "mov", "x-matroska": "mkv"}


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def hosted_wire(host: str = "127.0.0.1") -> Iterator[HttpWire]:
    """A wire whose media this machine serves on a free port of `host` until the block ends."""
    with tempfile.TemporaryDirectory(prefix="sensorium-bench-") as name:
        folder = Path(name)
        start = [sys.executable, "-P", "-m", __name__, name, host]
        with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                address = process.stdout.readline().strip()

                def publish(medium: MediaFile) -> str:
                    suffix = _SUFFIXES.get(medium.subtype, medium.subtype)
                    file = folder / f"{hashlib.sha256(medium.content).hexdigest()[:24]}.{suffix}"
                    file.write_bytes(medium.content)
                    return f"{address}/{file.name}"

                yield HttpWire(publish)
            finally:
                process.terminate()


def main(folder: str, host: str) -> None:
    """Serve until killed; the address is the first line printed."""
    with ThreadingHTTPServer((host, 0), partial(_Quiet, directory=folder)) as server:
        server.daemon_threads = True
        print(f"http://{host}:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
