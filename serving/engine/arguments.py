"""From a model and its options to vLLM's own argument namespace."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from sensorium.serving.engine.worker import EXTENSION
from sensorium.serving.errors import UserError

__all__ = ["COMPILATION_OPTIONS", "ModelSpec", "default_options", "option_names", "parse_arguments"]

# vLLM's defaults are 999 items a prompt and 4 GiB of processed media kept per model.
_MEDIA_LIMITS = {"image": 16, "video": 4, "audio": 8}
# Options by which a user asks for compilation, which is off on CPU otherwise.
COMPILATION_OPTIONS = frozenset({"no-enforce-eager", "compilation-config", "optimization-level"})
_PROCESSOR_CACHE_GB = "1"
_MOST_KV_CACHE = 4 << 30


@dataclass(frozen=True)
class ModelSpec:
    """A model to serve: its names, where it is, and engine options in the order of precedence.

    `options` are tokens of vLLM's command line, the weakest first: a later one wins.
    `audio_seconds` is the longest recording that a Whisper takes. `offline`: nobody waits for a
    single answer, so that vLLM's larger batches of its offline use are right.
    """

    names: tuple[str, ...]
    source: str
    options: tuple[str, ...] = field(default=())
    audio_seconds: float = 4 * 3600.0
    offline: bool = False


def option_names(tokens: Sequence[str]) -> set[str]:
    """The options named in a list of command-line tokens, without dashes, as `max-model-len`."""
    return {
        token[2:].partition("=")[0].partition(".")[0].replace("_", "-")
        for token in tokens
        if token.startswith("--")
    }


def default_options(given: set[str], *, cpu: bool, memory_bytes: int) -> list[str]:
    """Options that differ from vLLM's defaults, leaving out what `given` already sets.

    On CPU: no compilation (0-15 % slower, ready 20 s earlier), KV-cache blocks of 32 tokens instead
    of 128 so that short prompts share prefixes, and a KV cache of a tenth of `memory_bytes`
    instead of a share that a shared machine refuses.
    """
    tokens = ["--enable-prompt-tokens-details"]
    if "disable-log-stats" not in given:
        tokens.append("--enable-per-request-metrics")
    if "worker-extension-cls" not in given:
        tokens += ["--worker-extension-cls", EXTENSION]
    if "limit-mm-per-prompt" not in given:
        tokens += ["--limit-mm-per-prompt", json.dumps(_MEDIA_LIMITS)]
    if "mm-processor-cache-gb" not in given:
        tokens += ["--mm-processor-cache-gb", _PROCESSOR_CACHE_GB]
    if not cpu:
        return tokens
    if "enforce-eager" not in given and not given & COMPILATION_OPTIONS:
        tokens.append("--enforce-eager")
    if "block-size" not in given:
        tokens += ["--block-size", "32"]
    if not given & {"kv-cache-memory-bytes", "gpu-memory-utilization"}:
        tokens += ["--kv-cache-memory-bytes", str(min(_MOST_KV_CACHE, memory_bytes // 10))]
    return tokens


def parse_arguments(spec: ModelSpec, *, cpu: bool, memory_bytes: int) -> Namespace:
    """vLLM's namespace for `spec`; raises UserError for options vLLM does not take."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    def refuse(message: str) -> NoReturn:
        raise UserError(f"model {spec.names[0]!r}: {message} (engine options are vLLM's)")

    parser = make_arg_parser(FlexibleArgumentParser())
    parser.error = refuse
    given = option_names(spec.options)
    tokens = default_options(given, cpu=cpu, memory_bytes=memory_bytes)
    tokens += [*spec.options, "--model", spec.source, "--served-model-name", *spec.names]
    args: Namespace = parser.parse_args(tokens)
    try:
        validate_parsed_serve_args(args)
    except (TypeError, ValueError) as error:
        refuse(str(error))
    return args
