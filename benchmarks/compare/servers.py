"""Starts Sensorium and stock vLLM on this machine, in processes of their own.

Stock means vLLM's own server, by module (the `vllm` command does not start on the CPU build), with
`VLLM_PLUGINS=""`: no plugin is loaded, Sensorium's neither.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from sensorium.benchmarks.measure.processes import cpu_seconds, whole_memory
from sensorium.model_adapters.catalogue import KNOWN
from sensorium.serving.errors import EngineStartError, UserError

__all__ = [
    "SERVED_NAME",
    "RunningServer",
    "Side",
    "machine_environment",
    "make_side",
    "model_source",
    "process_environment",
    "set_machine_environment",
    "start",
]

SERVED_NAME = "bench"
_START_SECONDS = 900.0
_STOP_SECONDS = 60.0
_TAIL_LINES = 15
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Side:
    """How a server is started; `{port}` in the command is filled in."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class RunningServer:
    """A server that answers. Times are seconds since its process was started."""

    side: Side
    url: str
    process: subprocess.Popen[bytes]
    ready_seconds: float
    first_answer_seconds: float
    cpu_seconds: float
    memory_bytes: int

    def figures(self) -> dict[str, float]:
        """What the start took, and the memory held after the first answer."""
        return {
            "ready_seconds": self.ready_seconds,
            "first_answer_seconds": self.first_answer_seconds,
            "cpu_seconds": self.cpu_seconds,
            "memory_bytes": self.memory_bytes,
        }

    def stop(self) -> None:
        """End it and whatever it started."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_SECONDS)
        # Engines that outlived their server; the group is ours alone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def machine_environment(*, spare: int = 1) -> dict[str, str]:
    """Thread settings that both sides get: without them times vary tenfold on a shared machine.

    So many cores are left to a front end. With as many threads as cores, what one request at a time
    shows is mostly how threads are woken: on two cores stock's engine, which spins between steps,
    was 1.3 times as fast at 16 tokens, and ours, which sleeps, 1.5 times as fast at 128.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "OMP_NUM_THREADS": str(max(1, (cores or 1) - spare)),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def set_machine_environment() -> None:
    """The same for an engine in this process; call it before torch is imported."""
    for name, value in machine_environment(spare=0).items():
        os.environ.setdefault(name, value)


def model_source(model: str) -> str:
    """The folder of a model that Sensorium knows by name, else the model as it was given."""
    return str(KNOWN[model].path()) if model in KNOWN else model


def make_side(kind: str, model: str, arguments: Sequence[str], *, name: str = "") -> Side:
    """`sensorium` or `vllm`, serving `model` under the name `bench` with vLLM's arguments.

    `name` tells two of a kind apart.
    """
    source = model_source(model)
    if kind == "sensorium":
        start = ("-m", "sensorium.serving", "serve", f"{SERVED_NAME}={source}")
        extra: dict[str, str] = {}
    elif kind == "vllm":
        start = ("-m", "vllm.entrypoints.openai.api_server", "--model", source)
        arguments = ["--served-model-name", SERVED_NAME, "--host", "127.0.0.1", *arguments]
        extra = {"VLLM_PLUGINS": "", "VLLM_LOGGING_LEVEL": "ERROR"}
    else:
        raise UserError(f"no such server: {kind}; sensorium and vllm are known")
    command = (sys.executable, "-P", *start, "--port", "{port}", *arguments)
    return Side(name or kind, command, {**machine_environment(), **extra})


def start(side: Side, folder: Path) -> RunningServer:
    """Start it and wait until it has answered once; its output goes to `folder`.

    Raises EngineStartError with the end of that output when it does not get ready.
    """
    port = _free_port()
    command = [part.replace("{port}", str(port)) for part in side.command]
    environment = process_environment(side, folder)
    log = folder / f"{side.name}.log"
    began = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    server = RunningServer(side, f"http://127.0.0.1:{port}", process, 0.0, 0.0, 0.0, 0)
    try:
        _wait_ready(server, log, began)
        server.ready_seconds = time.monotonic() - began
        _answer_once(server.url)
        server.first_answer_seconds = time.monotonic() - began
        server.cpu_seconds = sum(cpu_seconds(process.pid).values())
        server.memory_bytes = whole_memory(process.pid)
    except BaseException:
        server.stop()
        raise
    return server


def process_environment(side: Side, folder: Path) -> dict[str, str]:
    """Its whole environment: this process's without settings of servers, and the side's own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SENSORIUM_", "VLLM_"))}
    return {**inherited, **side.environment, "SENSORIUM_DATA_DIR": str(folder / side.name)}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_ready(server: RunningServer, log: Path, began: float) -> None:
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() - began < _START_SECONDS:
            if server.process.poll() is not None:
                raise EngineStartError(
                    f"{server.side.name} ended with {server.process.returncode}:\n{_tail(log)}"
                )
            with contextlib.suppress(httpx.HTTPError):
                if client.get(f"{server.url}/health").status_code == 200:
                    return
            time.sleep(_POLL_SECONDS)
    raise EngineStartError(
        f"{server.side.name} was not ready in {_START_SECONDS:.0f} s:\n{_tail(log)}"
    )


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def _answer_once(url: str) -> None:
    """One token; a server that cannot chat may refuse, which is an answer too."""
    message = {"role": "user", "content": "hello"}
    body = {"model": SERVED_NAME, "messages": [message], "max_tokens": 1}
    httpx.post(f"{url}/v1/chat/completions", json=body, timeout=_START_SECONDS, trust_env=False)
