"""A real server in a process of its own, for tests that need an engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

START_SECONDS = 240


class LiveServer:
    """`sensorium serve` on a free port of 127.0.0.1; a context manager that ends it."""

    def __init__(
        self, arguments: Sequence[str], log: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.log = log
        command = [sys.executable, "-P", "-m", "sensorium.serving", "serve", "--port", "0"]
        data = log.with_name("data")
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, *arguments],
                stderr=output,
                stdout=output,
                env={**os.environ, "SENSORIUM_DATA_DIR": str(data), **(environment or {})},
            )
        self.url = ""

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def output(self) -> str:
        """What the server has written so far."""
        return self.log.read_text(errors="replace")

    def wait_listening(self) -> str:
        """Its URL, as soon as it accepts connections (models may still be loading)."""
        return self._wait("listening on ", lambda: True)

    def wait_ready(self, seconds: float = START_SECONDS) -> str:
        """Its URL, once every model has loaded."""
        return self._wait("listening on ", self._is_ready, seconds)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def _wait(self, mark: str, done: object, seconds: float = START_SECONDS) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"the server ended with {self.process.returncode}:\n{self.output()}"
                )
            if not self.url and mark in self.output():
                self.url = self.output().partition(mark)[2].split()[0]
            if self.url and callable(done) and done():
                return self.url
            time.sleep(0.1)  # polling another process; there is nothing to wait on
        raise RuntimeError(f"the server was not ready in {seconds:.0f} s:\n{self.output()}")
