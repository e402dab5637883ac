"""A model served by vLLM: its engine, and vLLM's own OpenAI app around it.

vLLM 0.32's `build_app` and `init_app_state` are used as they are; its `run_server` is not, because
it binds one engine to a process and owns the signals.
"""

from __future__ import annotations

import asyncio
import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from sensorium.model_adapters.conversation import stop_texts
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.registry import FAMILY_KEY
from sensorium.model_adapters.whisper.ready import loadable
from sensorium.serving.engine.arguments import ModelSpec, parse_arguments
from sensorium.serving.engine.metrics import isolated_stat_logger
from sensorium.serving.engine.native_pictures import fit_pictures
from sensorium.serving.engine.repairs import (
    name_rows_without_tokens,
    resample_without_torchaudio,
    share_processor,
)
from sensorium.serving.engine.threads import in_daemon_thread
from sensorium.serving.engine.whisper_engine import SPEECH_OPTIONS, WhisperEngine
from sensorium.serving.engine.worker import EXTENSION
from sensorium.serving.errors import EngineStartError
from sensorium.serving.http.validation import answer_validation_error
from sensorium.serving.media.fetch import FetchPolicy
from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.models import Encoding, WorkerReport
from sensorium.serving.needed_packages import absent_for
from sensorium.serving.speech.app import SpeechApp
from sensorium.serving.speech.description import with_speech
from sensorium.serving.speech.recording import Decoder, SoundLimits
from sensorium.serving.speech.transcriber import Transcriber
from sensorium.serving.speech.whisper import Whisper, find_whisper

__all__ = ["VllmModel", "import_vllm", "start_model"]

_STOP_SECONDS = 2
_REPORT_SECONDS = 2
_CAPABILITIES = {
    "generate": ("chat", "completions"),
    "transcription": ("transcription",),
    "embed": ("embeddings",),
}


def import_vllm(policy: FetchPolicy | None = None, pipeline: MediaPipeline | None = None) -> bool:
    """Import vLLM with our seams in place (seconds); True when it runs on the CPU.

    `policy` says where media may be fetched from, `pipeline` prepares them.
    """
    from vllm.platforms import current_platform
    from vllm.plugins import load_general_plugins

    # vLLM notes that plugins are loaded before it loads them: of two models that start side by
    # side, the second would not wait for ours.
    load_general_plugins()
    # The registry knows the connector once its module is imported.
    from sensorium.serving.engine.connector import SensoriumMediaConnector
    from sensorium.serving.engine.loaded_media import follow_loading

    SensoriumMediaConnector.policy = policy or FetchPolicy()
    SensoriumMediaConnector.pipeline = pipeline
    resample_without_torchaudio()
    name_rows_without_tokens()
    follow_loading(pipeline.measures if pipeline is not None else None)
    return bool(current_platform.is_cpu())


class VllmModel:
    """An engine and the app in front of it; see `ServedModel` for what each field means."""

    def __init__(
        self,
        args: Namespace,
        engine: Any,
        metrics: CollectorRegistry,
        *,
        speech: Whisper | None = None,
        audio_seconds: float = 0.0,
    ) -> None:
        self._engine = engine
        self._speech = speech
        self._audio_seconds = audio_seconds
        self._args = args
        self.metrics: CollectorRegistry | None = metrics
        self.app: ASGIApp
        self.capabilities: frozenset[str] = frozenset()
        self.media_limits: Mapping[str, int] = {}
        self.openapi: Mapping[str, Any] = {}
        self.root: str = args.model
        self.stop_texts = stop_texts(Path(args.model), _named_family(args))
        self.at_once: int = engine.vllm_config.scheduler_config.max_num_seqs
        self.max_model_len: int = engine.model_config.max_model_len
        self.engine_version = _vllm_version()
        self._report = WorkerReport()
        # Another extension, which an operator has asked for, does not answer us.
        self._extended = args.worker_extension_cls == EXTENSION

    async def attach_app(self) -> None:
        """Build vLLM's app for this engine and learn what the model can do."""
        from fastapi.exceptions import RequestValidationError
        from vllm.entrypoints.launchers.api_server.app_state import init_app_state
        from vllm.entrypoints.launchers.app import build_app

        from sensorium.serving.engine.connector import SensoriumMediaConnector
        from sensorium.serving.engine.loaded_media import follow_rendering
        from sensorium.serving.engine.rendered_media import follow_media
        from sensorium.serving.engine.short_work import do_short_work

        engine = self._engine
        await engine.reset_mm_cache()
        if self._extended:
            await engine.collective_rpc("sensorium_time_encoder")
            if os.environ.get("SENSORIUM_PROJECTION_FP8") and self._speech is None:
                await engine.collective_rpc("sensorium_decide_fp8")
        follow_media(engine, self._encoded if self._extended else None)
        if SensoriumMediaConnector.pipeline is not None:
            follow_rendering(engine.renderer, SensoriumMediaConnector.pipeline.measures)
        fit_pictures(engine)
        share_processor(engine)
        do_short_work(engine.renderer)
        tasks = await engine.get_supported_tasks()
        app = build_app(self._args, tasks, engine.model_config)
        app.add_exception_handler(RequestValidationError, answer_validation_error)
        app.middleware_stack = None  # built already; built again with our handler at first use
        await init_app_state(engine, app.state, self._args, tasks)
        # vLLM's handler for a dead engine asks the server to exit; ours reports it instead.
        app.state.server = SimpleNamespace(should_exit=False)
        self.app = app
        self.openapi = app.openapi()
        self._attach_speech()
        self.media_limits = _media_limits(engine)
        self.capabilities = _capabilities(tasks, engine.model_config)

    def _attach_speech(self) -> None:
        """Put our own transcription in front of vLLM's where the model is a Whisper."""
        if self._speech is None:
            return
        from sensorium.serving.engine.connector import SensoriumMediaConnector

        media = SensoriumMediaConnector.pipeline
        assert media is not None, "import_vllm is given one before a model starts"
        transcriber = Transcriber(WhisperEngine(self._engine, self._speech), self._speech)
        decoder = Decoder(media, SoundLimits(self._audio_seconds))
        self.app = SpeechApp(self.app, transcriber, decoder)
        self.openapi = with_speech(self.openapi)

    def dead(self) -> str | None:
        """Why the engine can no longer answer, or None while it can."""
        return "the engine process has ended" if self._engine.errored else None

    async def report(self) -> WorkerReport:
        """Ask the first worker; the last answer stands while the engine is busy or gone."""
        answer = await self._ask_worker("sensorium_report")
        if answer is not None:
            calls = {(op, ran, why): count for op, ran, why, count in answer["calls"]}
            encoding = {kind: Encoding(**taken) for kind, taken in answer["encoding"].items()}
            self._report = WorkerReport(answer["mode"], calls, encoding)
        return self._report

    async def _encoded(self, requests: Sequence[str]) -> float:
        return float(await self._ask_worker("sensorium_encoded", list(requests)) or 0.0)

    async def _ask_worker(self, method: str, *args: object) -> Any:
        """What the first worker answers, or None where the engine is busy or gone."""
        from vllm.v1.engine.exceptions import EngineDeadError

        if not self._extended:
            return None
        asking = self._engine.collective_rpc(method, args=args)
        try:
            return (await asyncio.wait_for(asking, _REPORT_SECONDS))[0]
        except (TimeoutError, EngineDeadError):
            return None

    async def stop(self) -> None:
        """Abort what runs and end the engine's processes."""
        await asyncio.to_thread(self._engine.shutdown, _STOP_SECONDS)


async def start_model(spec: ModelSpec, *, cpu: bool, memory_bytes: int) -> VllmModel:
    """Load a model; several may be started side by side. Blocks no event loop."""
    args, engine, metrics, speech = await in_daemon_thread(
        lambda: _start_engine(spec, cpu, memory_bytes), f"start-{spec.names[0]}"
    )
    model = VllmModel(args, engine, metrics, speech=speech, audio_seconds=spec.audio_seconds)
    await model.attach_app()
    return model


def _start_engine(
    spec: ModelSpec, cpu: bool, memory_bytes: int
) -> tuple[Namespace, Any, CollectorRegistry, Whisper | None]:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.async_llm import AsyncLLM

    try:
        spec = replace(spec, source=loadable(spec.source))
    except CheckpointError as error:
        raise EngineStartError(str(error)) from None
    speech = find_whisper(spec.source)
    if speech is not None:
        spec = replace(spec, options=(*SPEECH_OPTIONS, *spec.options))
    args = parse_arguments(spec, cpu=cpu, memory_bytes=memory_bytes)
    engine_args = AsyncEngineArgs.from_cli_args(args)
    registry = CollectorRegistry()
    # Without a context, vLLM falls back to an eighth of the batch that it gives a large GPU.
    config = engine_args.create_engine_config(
        UsageContext.LLM_CLASS if spec.offline else UsageContext.OPENAI_API_SERVER
    )
    if (absent := absent_for(config.model_config.architectures)) is not None:
        raise EngineStartError(absent)
    engine = AsyncLLM.from_vllm_config(
        config,
        stat_loggers=[isolated_stat_logger(registry)],
        enable_log_requests=engine_args.enable_log_requests,
        disable_log_stats=engine_args.disable_log_stats,
    )
    return args, engine, registry, speech


def _vllm_version() -> str:
    import vllm

    return str(vllm.__version__)


def _media_limits(engine: Any) -> dict[str, int]:
    processor = getattr(engine.renderer, "mm_processor", None)
    return dict(processor.info.allowed_mm_limits) if processor is not None else {}


def _named_family(args: Namespace) -> str | None:
    overrides = getattr(args, "hf_overrides", None)
    return overrides.get(FAMILY_KEY) if isinstance(overrides, dict) else None


def _capabilities(tasks: tuple[str, ...], model_config: Any) -> frozenset[str]:
    found = {ability for task in tasks for ability in _CAPABILITIES.get(task, ())}
    # Whisper and its like generate only from sound, through the transcription route.
    if getattr(model_config, "is_encoder_decoder", False) and "transcription" in found:
        found -= {"chat", "completions"}
    return frozenset(found)
