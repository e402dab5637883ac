"""From what the user asked for to the models to start."""

from __future__ import annotations

import json
from pathlib import Path

from sensorium.model_adapters import catalogue
from sensorium.model_adapters.whisper.layouts import OPENAI, layout
from sensorium.serving.engine.arguments import ModelSpec
from sensorium.serving.errors import UserError
from sensorium.serving.settings import ModelRequest, ServeSettings

__all__ = ["resolve_models"]

# The models that come with Sensorium are tiny, so exactness costs nothing and memory is spared.
_EXACT = ("--dtype", "float32")
_EMBEDDED_OPTIONS = {
    "demo": (
        *_EXACT,
        "--limit-mm-per-prompt",
        json.dumps({"image": 8, "video": 2, "audio": 4}),
        # Too small a model to end a run of blanks by itself when it is made to write JSON.
        "--structured-outputs-config",
        json.dumps({"backend": "xgrammar", "disable_any_whitespace": True}),
        "--enable-auto-tool-choice",
        "--tool-call-parser",
        "hermes",
    ),
    "whisper-base": _EXACT,
}
_EMBEDDED_CPU_OPTIONS = ("--kv-cache-memory-bytes", str(256 << 20))


def resolve_models(settings: ServeSettings, *, cpu: bool) -> list[ModelSpec]:
    """The models to start, each with its engine options, the weakest first."""
    if cpu and settings.projection_kernels == "triton":
        raise UserError(
            "--projection-kernels triton needs a GPU, and the installed vLLM is for the CPU; "
            "leave the option out, or give auto or reference"
        )
    _check_fp8(settings, cpu)
    requests = settings.models or _embedded()
    specs = []
    for request in requests:
        specs.append(_spec(request, settings, cpu))
    _refuse_same_names(specs)
    return specs


def _check_fp8(settings: ServeSettings, cpu: bool) -> None:
    if settings.projection_fp8 is None:
        return
    if cpu and settings.projection_kernels != "reference":
        raise UserError(
            "--projection-fp8 needs a GPU with e4m3 numbers, and the installed vLLM is for the "
            "CPU; leave the option out, or add --projection-kernels reference to see what e4m3 "
            "does to answers, slowly"
        )
    if not Path(settings.projection_fp8).is_dir():
        raise UserError(
            f"`projection-fp8` must be a folder of pictures or sounds to measure on; "
            f"{settings.projection_fp8} is none"
        )


def _embedded() -> tuple[ModelRequest, ...]:
    """What `sensorium serve` alone serves: every known model that is on this machine."""
    return tuple(
        ModelRequest(name, name) for name, model in catalogue.KNOWN.items() if model.installed()
    )


def _spec(request: ModelRequest, settings: ServeSettings, cpu: bool) -> ModelSpec:
    options: tuple[str, ...] = ()
    source = request.source
    if source in catalogue.KNOWN and not Path(source).exists():
        options = _EMBEDDED_OPTIONS.get(source, ())
        if cpu:
            options += _EMBEDDED_CPU_OPTIONS
        try:
            source = str(catalogue.resolve(source))
        except catalogue.ModelNotInstalledError as error:
            raise UserError(str(error)) from None
        name = request.name or request.source
    else:
        _check_source(source)
        name = request.name or _name(Path(source))
    names = settings.served_model_name or request.served_names or (name,)
    if settings.media_root is not None:
        root = Path(settings.media_root)
        if not root.is_dir():
            raise UserError(f"`media-root` must be a folder; {settings.media_root} is none")
        options += ("--allowed-local-media-path", str(root.resolve()))
    options = (*options, *request.options, *settings.engine_options)
    return ModelSpec(names, source, options, settings.max_audio_seconds)


def _name(source: Path) -> str:
    """A folder's or a file's own name, or a hub id as it is."""
    if source.is_file():
        return source.stem
    return source.name if source.is_dir() else str(source)


def _check_source(source: str) -> None:
    """Refuse at once what can be neither a folder nor a hub id, before vLLM is imported."""
    if Path(source).is_dir() or layout(Path(source)) == OPENAI:
        return
    looks_like_path = source.startswith((".", "/", "~")) or source.count("/") > 1
    if looks_like_path or Path(source).exists() or "/" not in source:
        known = ", ".join(catalogue.KNOWN)
        raise UserError(
            f"{source!r} is not a folder with a checkpoint, not a hub id (OWNER/NAME), "
            f"and not a model that comes with Sensorium ({known})"
        )


def _refuse_same_names(specs: list[ModelSpec]) -> None:
    seen: set[str] = set()
    for spec in specs:
        for name in spec.names:
            if name in seen:
                raise UserError(
                    f"two models are named {name!r}; write NAME=PATH to tell them apart"
                )
            seen.add(name)
