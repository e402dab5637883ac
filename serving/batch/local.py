"""The engine of a batch in this very process: what `serve` runs, but for the socket."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from sensorium.serving.batch.target import Target, app_target
from sensorium.serving.engine.arguments import COMPILATION_OPTIONS, ModelSpec, option_names
from sensorium.serving.engine.environment import prepare_environment
from sensorium.serving.engine.log import EngineLog
from sensorium.serving.engine.threads import in_daemon_thread
from sensorium.serving.http.app import SensoriumApp
from sensorium.serving.http.state import ServerState
from sensorium.serving.media.fetch import FetchPolicy
from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.models import ModelSlot, ModelTable
from sensorium.serving.progress import Progress
from sensorium.serving.resolve import resolve_models
from sensorium.serving.server import kill_children, load_into, on_cpu
from sensorium.serving.settings import ServeSettings, hand_down

__all__ = ["app_of_models", "with_engine"]


def with_engine(
    settings: ServeSettings, work: Callable[[Target, EngineLog], Awaitable[int]], *, quiet: bool
) -> int:
    """Start the engine of the one model in `settings`, let `work` use it, end it.

    Returns what `work` returns; raises EngineStartError and UserError as `serve` does.
    """
    cpu = on_cpu(settings)
    (spec,) = resolve_models(settings, cpu=cpu)
    spec = replace(spec, offline=True)
    eager = not COMPILATION_OPTIONS & option_names(spec.options)
    prepare_environment(cpu=cpu, eager=eager, log_level=settings.log_level)
    hand_down(settings)
    policy = FetchPolicy(allow_private=settings.allow_private_media, seconds=settings.media_timeout)
    media = MediaPipeline.from_settings(settings)
    atexit.register(kill_children)
    with EngineLog(hold=settings.log_level.lower() in {"warning", "error"}) as log:

        async def run() -> int:
            async with _engine(spec, log, policy, media, cpu=cpu, quiet=quiet) as target:
                return await work(target, log)

        return asyncio.run(run())


@asynccontextmanager
async def _engine(
    spec: ModelSpec,
    log: EngineLog,
    policy: FetchPolicy,
    media: MediaPipeline,
    *,
    cpu: bool,
    quiet: bool,
) -> AsyncIterator[Target]:
    from sensorium.serving.engine.vllm_engine import import_vllm

    slot = ModelSlot(spec.names)
    progress = Progress(log.terminal)
    if not quiet:
        progress.line(f"starting the engine of {slot.name} ...")
    media.start()
    await in_daemon_thread(lambda: import_vllm(policy, media), "import-vllm")
    await load_into(slot, spec, cpu=cpu, log=log)
    log.release(show=False)
    if not quiet:
        progress.line(f"{slot.name} is ready")
    target = app_of_models(ServerState(ModelTable([slot]), max_body_bytes=1 << 40))
    try:
        yield target
    finally:
        log.hold()
        await target.close()
        if slot.model is not None:
            await slot.model.stop()
        media.close()
        kill_children()


def app_of_models(state: ServerState) -> Target:
    """The outer app as a target, which is dead when the engine of one of its models is."""

    def dead() -> str | None:
        reasons = (slot.model.dead() for slot in state.models.slots if slot.model is not None)
        return next((reason for reason in reasons if reason is not None), None)

    # Some rows more than run at once, so that the next ones' media are ready.
    running = sum(slot.model.at_once for slot in state.models.slots if slot.model is not None)
    return app_target(SensoriumApp(state), dead, running + running // 4)
