"""Settings of `sensorium serve`: command line over environment over file over default."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensorium.kernels.selection import MODES
from sensorium.serving.errors import UserError
from sensorium.serving.model_choices import CHOICES, Choice, read_choice, refuse_conflicts

__all__ = [
    "OPTIONS",
    "ModelRequest",
    "Option",
    "ServeSettings",
    "hand_down",
    "load_settings",
]


@dataclass(frozen=True)
class Option:
    """One option: `--name`, `SENSORIUM_NAME`, and `name:` in a file.

    `engine` options are handed to vLLM as they are; `many` options may be given several times.
    """

    name: str
    help: str
    kind: type = str
    default: Any = None
    metavar: str | None = None
    engine: bool = False
    many: bool = False

    @property
    def dest(self) -> str:
        """The attribute it has on a parsed namespace."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"SENSORIUM_{self.dest.upper()}"


OPTIONS: tuple[Option, ...] = (
    Option("host", "address to listen on", default="127.0.0.1"),
    Option("port", "port to listen on; 0 takes a free one", int, 8000),
    Option("api-key", "require this key (repeatable); none means open", metavar="KEY", many=True),
    Option("public-metrics", "answer /metrics without a key", bool, False),
    Option("device", "cpu or cuda; default: what the installed vLLM is for", metavar="DEVICE"),
    Option("drain-timeout", "seconds running requests get after SIGTERM", float, 30.0, "SECONDS"),
    Option("max-body-mb", "largest request body taken", float, 100.0, "MB"),
    Option("max-audio-seconds", "longest recording transcribed", float, 14_400.0, "SECONDS"),
    Option("media-root", "folder below which file: URLs may be read", metavar="FOLDER"),
    Option("allow-private-media", "fetch media from private addresses too", bool, False),
    Option("media-exact", "decode and resize pictures to the last bit, slower", bool, False),
    Option("media-workers", "processes that decode media; 0: one a core, at most 8", int, 0, "N"),
    Option("media-max-mpixels", "largest picture taken, in millions of pixels", float, 64.0, "N"),
    Option("media-max-seconds", "longest sound taken in a chat", float, 600.0, "SECONDS"),
    Option("media-max-video-seconds", "longest video taken", float, 7_200.0, "SECONDS"),
    Option("media-max-frames", "most frames taken of a video", int, 2_048, "N"),
    Option("media-max-request-items", "most media of a request", int, 128, "N"),
    Option("media-max-request-mb", "most bytes of a request's media", float, 512.0, "MB"),
    Option("media-max-request-mpixels", "most pixels, in millions", float, 1_000.0, "N"),
    Option("media-max-request-seconds", "most sound of a request", float, 3_600.0, "SECONDS"),
    Option("media-max-request-tokens", "most tokens; 0: what the model takes", int, 0, "N"),
    Option(
        "media-timeout", "seconds that fetching or decoding one may take", float, 20.0, "SECONDS"
    ),
    Option("media-cache-mb", "memory for media prepared lately", float, 256.0, "MB"),
    Option("media-queue", "media that may wait for a process; then 429", int, 1024, "N"),
    Option("data-dir", "folder for uploaded files and batches", metavar="FOLDER"),
    Option("max-file-mb", "largest file taken by /v1/files", float, 512.0, "MB"),
    Option("batch-max-mb", "largest input of a batch", float, 200.0, "MB"),
    Option("batch-max-rows", "most rows of a batch", int, 50_000, "N"),
    Option(
        "batch-inflight",
        "batch rows asked at once while nobody else asks; 0: half of what an engine runs at once",
        int,
        0,
        "N",
    ),
    Option("batch-retention-days", "days that outputs of batches are kept", float, 30.0, "DAYS"),
    Option("log-level", "debug, info, warning or error", default="warning", metavar="LEVEL"),
    Option("served-model-name", "names the model answers to", metavar="NAME", many=True),
    Option(
        "vision-tower",
        "folder of a separate vision tower, or NAME=FOLDER (repeatable)",
        metavar="FOLDER",
        many=True,
    ),
    Option(
        "base-model",
        "folder of the model below a LoRA or delta, or NAME=FOLDER (repeatable)",
        metavar="FOLDER",
        many=True,
    ),
    Option(
        "conversation",
        "conversation style by its name, or NAME=STYLE (repeatable)",
        metavar="STYLE",
        many=True,
    ),
    Option(
        "family",
        "model family by its name, or NAME=FAMILY (repeatable)",
        metavar="FAMILY",
        many=True,
    ),
    Option(
        "projection-kernels",
        "what projects media: auto, triton or reference",
        default="auto",
        metavar="KIND",
    ),
    Option(
        "projection-fp8",
        "folder of pictures or sounds: project in e4m3 if these survive it",
        metavar="FOLDER",
    ),
    Option("max-model-len", "longest prompt plus answer, in tokens", engine=True, metavar="N"),
    Option("dtype", "auto, bfloat16, float16 or float32", engine=True),
    Option("tensor-parallel-size", "GPUs to split a model over", engine=True, metavar="N"),
    Option("gpu-memory-utilization", "share of GPU memory to use", engine=True, metavar="SHARE"),
    Option(
        "limit-mm-per-prompt", "most media a prompt, as image=4,video=1", engine=True, metavar="M=N"
    ),
    Option("chat-template", "file with a chat template", engine=True, metavar="FILE"),
)
_POSITIVE = (
    "max_audio_seconds",
    "max_file_mb",
    "batch_max_mb",
    "batch_max_rows",
    "batch_retention_days",
    "media_max_mpixels",
    "media_max_seconds",
    "media_max_video_seconds",
    "media_max_frames",
    "media_max_request_items",
    "media_max_request_mb",
    "media_max_request_mpixels",
    "media_max_request_seconds",
    "media_timeout",
    "media_queue",
)
_NOT_NEGATIVE = ("media_max_request_tokens", "media_workers", "media_cache_mb", "batch_inflight")
_BY_NAME = {option.name: option for option in OPTIONS}


@dataclass(frozen=True)
class ModelRequest:
    """A model as the user named it: `NAME=PATH_OR_ID` or just one of them, with own options.

    `served_names`, where there are any, take the place of its name; `choices` say how its
    checkpoint is read.
    """

    name: str | None
    source: str
    options: tuple[str, ...] = ()
    served_names: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()

    @classmethod
    def parse(cls, text: str) -> ModelRequest:
        """Split `NAME=PATH_OR_ID`; a bare path or id keeps its own name."""
        name, separator, source = text.partition("=")
        if not separator or "/" in name:
            return cls(None, text)
        if not name or not source:
            raise UserError(f"got {text!r}; a model is a path, a hub id or NAME=PATH_OR_ID")
        return cls(name, source)


@dataclass(frozen=True)
class ServeSettings:
    """Everything `sensorium serve` was told, from all four places."""

    models: tuple[ModelRequest, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: tuple[str, ...] = ()
    public_metrics: bool = False
    device: str | None = None
    drain_timeout: float = 30.0
    max_body_mb: float = 100.0
    max_audio_seconds: float = 14_400.0
    media_root: str | None = None
    allow_private_media: bool = False
    media_exact: bool = False
    media_workers: int = 0
    media_max_mpixels: float = 64.0
    media_max_seconds: float = 600.0
    media_max_video_seconds: float = 7_200.0
    media_max_frames: int = 2_048
    media_max_request_items: int = 128
    media_max_request_mb: float = 512.0
    media_max_request_mpixels: float = 1_000.0
    media_max_request_seconds: float = 3_600.0
    media_max_request_tokens: int = 0
    media_timeout: float = 20.0
    media_cache_mb: float = 256.0
    media_queue: int = 1024
    data_dir: str | None = None
    max_file_mb: float = 512.0
    batch_max_mb: float = 200.0
    batch_max_rows: int = 50_000
    batch_inflight: int = 0
    batch_retention_days: float = 30.0
    log_level: str = "warning"
    served_model_name: tuple[str, ...] = ()
    vision_tower: tuple[str, ...] = ()
    base_model: tuple[str, ...] = ()
    conversation: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    projection_kernels: str = "auto"
    projection_fp8: str | None = None
    engine_options: tuple[str, ...] = field(default=())


def hand_down(values: object, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables by which options reach every process of every engine.

    `values` has the options as attributes; those that were not given change nothing. What a model
    says for itself comes last, and counts.
    """
    models: Sequence[ModelRequest] = getattr(values, "models", ())
    for name in CHOICES:
        option = _BY_NAME[name]
        given = [*getattr(values, option.dest)]
        given += [c.entry(m.source) for m in models for c in m.choices if c.option == name]
        if given:
            environment[option.variable] = ",".join(given)
    if kernels := getattr(values, "projection_kernels", None):
        environment[_BY_NAME["projection-kernels"].variable] = kernels
    if folder := getattr(values, "projection_fp8", None):
        environment[_BY_NAME["projection-fp8"].variable] = folder


def load_settings(
    command_line: Mapping[str, Any], rest: Sequence[str], environment: Mapping[str, str]
) -> ServeSettings:
    """Merge the four places.

    `command_line` holds only what was given (`models`, `config` and option names); `rest` are
    options we do not know, which go to vLLM. Raises UserError for a file or value that is wrong.
    """
    path = command_line.get("config") or environment.get("SENSORIUM_CONFIG")
    from_file = _read_file(path) if path else {}
    known = {option.dest: option.default for option in OPTIONS if not option.engine}
    engine: list[str] = []
    models = [ModelRequest.parse(text) for text in command_line.get("models") or ()]
    if not models:
        models = _models(from_file.pop("models", None), environment)
    from_file.pop("models", None)
    _apply(from_file, known, engine, f"{path}")
    variables = {o.name: environment[o.variable] for o in OPTIONS if o.variable in environment}
    _apply(variables, known, engine, "environment")
    given = {o.name: command_line[o.dest] for o in OPTIONS if o.dest in command_line}
    _apply(given, known, engine, "command line")
    _check(known, models)
    for option in OPTIONS:
        if option.many:
            known[option.dest] = tuple(known[option.dest] or ())
    return ServeSettings(models=tuple(models), engine_options=(*engine, *rest), **known)


def _apply(values: Mapping[str, Any], known: dict[str, Any], engine: list[str], place: str) -> None:
    for name, value in values.items():
        option = _BY_NAME.get(name)
        if option is None or option.engine:
            engine += _engine_tokens(name, value)
        else:
            known[option.dest] = _convert(option, value, place)


def _convert(option: Option, value: Any, place: str) -> Any:
    if option.many:
        parts = value.split(",") if isinstance(value, str) else value
        return [str(part).strip() for part in parts if str(part).strip()]
    try:
        if option.kind is bool:
            if isinstance(value, bool):
                return value
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
                str(value).lower()
            ]
        return option.kind(value)
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"`{option.name}` ({place}) must be a {option.kind.__name__}, got {value!r}"
        ) from None


def _engine_tokens(name: str, value: Any) -> list[str]:
    flag = f"--{name}"
    if value is True:
        return [flag]
    if value is False:
        return [f"--no-{name}"]
    if name == "limit-mm-per-prompt" and isinstance(value, str) and "=" in value:
        value = _limits(value)
    if isinstance(value, dict):
        return [flag, json.dumps(value)]
    if isinstance(value, list):
        return [flag, *map(str, value)]
    return [flag, str(value)]


def _limits(text: str) -> dict[str, int]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and most.strip().isdigit() for name, _, most in pairs):
        raise UserError(f"`limit-mm-per-prompt` must look like image=4,video=1; got {text!r}")
    return {name.strip(): int(most) for name, _, most in pairs}


def _models(listed: Any, environment: Mapping[str, str]) -> list[ModelRequest]:
    if variable := environment.get("SENSORIUM_MODELS"):
        return [ModelRequest.parse(text.strip()) for text in variable.split(",") if text.strip()]
    if listed is None:
        return []
    if isinstance(listed, list) and all(isinstance(item, str) for item in listed):
        return [ModelRequest.parse(item) for item in listed]
    if isinstance(listed, dict):
        return [_model_with_options(name, value) for name, value in listed.items()]
    raise UserError("`models` in the file must be a list of models or NAME: {model: PATH, ...}")


def _model_with_options(name: str, value: Any) -> ModelRequest:
    if isinstance(value, str):
        return ModelRequest(name, value)
    if not isinstance(value, dict) or not isinstance(value.get("model"), str):
        raise UserError(f"model {name!r} in the file needs `model: PATH_OR_ID`")
    rest = {str(key).replace("_", "-"): option for key, option in value.items()}
    served_names = _convert(_BY_NAME["served-model-name"], rest.pop("served-model-name", ()), name)
    source = rest.pop("model")
    options: list[str] = []
    choices: list[Choice] = []
    for key, option in rest.items():
        if key in CHOICES:
            choices += read_choice(key, option, name, source)
        else:
            options += _engine_tokens(key, option)
    return ModelRequest(name, source, tuple(options), tuple(served_names), tuple(choices))


def _read_file(path: str) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise UserError(f"cannot read the settings file {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"the settings file {path} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"the settings file {path} must hold `option: value` lines")
    return {str(name).replace("_", "-"): value for name, value in content.items()}


def _check(known: Mapping[str, Any], models: Sequence[ModelRequest]) -> None:
    refuse_conflicts((model.source, model.choices) for model in models)
    if known["served_model_name"] and len(models) != 1:
        raise UserError(
            f"--served-model-name names one model, but {len(models)} are served; "
            "write NAME=PATH for each instead"
        )
    if not 0 <= known["port"] <= 65535:
        raise UserError(f"`port` must be between 0 and 65535, got {known['port']}")
    if known["drain_timeout"] < 0 or known["max_body_mb"] <= 0:
        raise UserError("`drain-timeout` and `max-body-mb` must be positive")
    for name in _POSITIVE:
        if known[name] <= 0:
            raise UserError(f"`{name.replace('_', '-')}` must be positive, got {known[name]}")
    for name in _NOT_NEGATIVE:
        if known[name] < 0:
            raise UserError(f"`{name.replace('_', '-')}` must not be negative, got {known[name]}")
    if known["log_level"].lower() not in {"debug", "info", "warning", "error"}:
        raise UserError(
            f"`log-level` must be debug, info, warning or error, got {known['log_level']!r}"
        )
    if known["projection_kernels"] not in MODES:
        raise UserError(
            f"`projection-kernels` must be {', '.join(MODES[:-1])} or {MODES[-1]}, "
            f"got {known['projection_kernels']!r}"
        )
    if known["device"] not in {None, "cpu", "cuda"}:
        raise UserError(f"`device` must be cpu or cuda, got {known['device']!r}")
