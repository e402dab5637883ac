"""The process's kernel mode, what each operator ran on, and the device it runs on."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import torch

from sensorium.kernels.pinned import read_pinned
from sensorium.kernels.selection import (
    MODES,
    Choice,
    Device,
    KernelUnavailableError,
    Pinned,
    Problem,
    select,
)

__all__ = [
    "MODE_VARIABLE",
    "calls",
    "choose",
    "configurations",
    "count",
    "describe_device",
    "forced",
    "mode",
    "recorded",
    "require_mode",
]

MODE_VARIABLE = "SENSORIUM_PROJECTION_KERNELS"
_LOGGER = logging.getLogger("sensorium.kernels")
_LOCK = threading.Lock()
_CALLS: Counter[tuple[str, str, str]] = Counter()
_LOGGED: set[tuple[str, str]] = set()
_FORCED: list[tuple[str, Mapping[str, int] | None]] = []
_RECORDED: list[list[Problem]] = []
_COMPILED: set[tuple[Problem, torch.device]] = set()


def mode() -> str:
    """`auto`, `triton` or `reference`; raises ValueError for anything else in the environment."""
    chosen = _FORCED[-1][0] if _FORCED else os.environ.get(MODE_VARIABLE, "auto")
    if chosen not in MODES:
        raise ValueError(f"{MODE_VARIABLE}={chosen!r}; allowed: {', '.join(MODES)}")
    return chosen


@contextmanager
def forced(chosen: str, config: Mapping[str, int] | None = None) -> Iterator[None]:
    """Run what is inside in another mode; for tests and benchmarks, one thread at a time.

    With `config`, Triton runs in that configuration.
    """
    _FORCED.append((chosen, config))
    try:
        yield
    finally:
        _FORCED.pop()


@contextmanager
def recorded() -> Iterator[list[Problem]]:
    """Collect the problems of the operators called inside."""
    problems: list[Problem] = []
    _RECORDED.append(problems)
    try:
        yield problems
    finally:
        _RECORDED.remove(problems)


def require_mode(device: torch.device) -> str:
    """The mode, once it is certain that it can be kept; raises KernelUnavailableError at load."""
    chosen = mode()
    described = describe_device(device)
    if chosen == "triton" and not described.interpreted:
        if not described.triton:
            raise KernelUnavailableError("Triton was asked for and is not installed")
        if described.kind == "cpu":
            raise KernelUnavailableError("Triton was asked for, but the device is a CPU")
    return chosen


def choose(problem: Problem, device: torch.device) -> Choice:
    """Select for this process's mode, and count; a fallback is logged the first time."""
    choice = _select(problem, describe_device(device), mode())
    if _FORCED and _FORCED[-1][1] is not None:
        choice = replace(choice, config=_FORCED[-1][1])
    for problems in _RECORDED:
        problems.append(problem)
    count(problem.op, choice)
    return choice


def count(op: str, choice: Choice) -> None:
    """Count a choice that was made; a fallback is logged the first time."""
    with _LOCK:
        _CALLS[op, choice.backend, choice.reason] += 1
        first = choice.fallback and (op, choice.reason) not in _LOGGED
        if first:
            _LOGGED.add((op, choice.reason))
    if first:
        _LOGGER.warning("%s falls back to %s: %s", op, choice.backend, choice.reason)


def configurations(
    problem: Problem, choice: Choice, device: torch.device
) -> Iterator[Mapping[str, int]]:
    """The configurations to launch, the chosen one last.

    The first call of a model's shapes, which vLLM makes while it loads, goes through every
    configuration that another number of rows could choose, so that none is compiled while serving.
    """
    shape = (replace(problem, rows=0), device)
    if shape not in _COMPILED and not (_FORCED and _FORCED[-1][1] is not None):
        _COMPILED.add(shape)
        for entry in _pinned(describe_device(device).name):
            pinned_shape = (entry.op, entry.sizes, entry.dtype, entry.variant)
            same = pinned_shape == (problem.op, problem.sizes, problem.dtype, problem.variant)
            if same and entry.backend == "triton" and entry.config != choice.config:
                yield entry.config
    yield choice.config


def calls() -> dict[tuple[str, str, str], int]:
    """Calls so far by operator, implementation and reason."""
    with _LOCK:
        return dict(_CALLS)


@lru_cache(maxsize=4096)
def _select(problem: Problem, device: Device, chosen: str) -> Choice:
    return select(problem, device, chosen, _pinned(device.name))


@lru_cache(maxsize=16)
def _pinned(name: str) -> tuple[Pinned, ...]:
    return read_pinned(name) if name else ()


@lru_cache(maxsize=16)
def describe_device(device: torch.device) -> Device:
    """What `select` needs to know of a torch device."""
    has_triton = importlib.util.find_spec("triton") is not None
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if device.type != "cuda":
        return Device(device.type, triton=has_triton, interpreted=interpreted)
    kind = "hip" if torch.version.hip else "cuda"
    capability = torch.cuda.get_device_capability(device)
    return Device(
        kind, torch.cuda.get_device_name(device), capability, has_triton, interpreted=interpreted
    )
