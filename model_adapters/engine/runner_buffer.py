"""The buffer from which vLLM's runner feeds the language model, known while it asks for embeddings.

vLLM 0.32 copies what `embed_input_ids` returns into that buffer (`v1/worker/gpu_model_runner.py`,
`_preprocess`; `v1/worker/gpu/mm/encoder_runner.py`, `get_inputs_embeds`). A model that writes there
itself and returns a view of it leaves a copy of memory onto itself, which CUDA skips
(pytorch/pytorch, aten/src/ATen/native/cuda/Copy.cu). vLLM hands the buffer to nobody, so the two
methods are wrapped.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["TARGET", "Target", "follow_runners", "offered", "target"]

TARGET = "embed_merge target"
"""Where merges were written, among the counts of operators."""


@dataclass(frozen=True)
class _Offer:
    ids: torch.Tensor
    buffer: torch.Tensor


@dataclass(frozen=True)
class Target:
    """Where a step's rows belong: a view of the runner's buffer, or None and why there is none."""

    rows: torch.Tensor | None
    reason: str


_OFFER: ContextVar[_Offer | None] = ContextVar("sensorium_runner_buffer", default=None)


def target(ids: torch.Tensor, table: torch.Tensor) -> Target:
    """The rows `[tokens, hidden]` of the runner's buffer for a step's `ids` `[tokens]`.

    Only for the ids that the runner was about to embed: with prompt embeddings vLLM asks for others
    and picks from the answer, so that nothing may be written before.
    """
    offer = _OFFER.get()
    if offer is None:
        return Target(None, "called outside of a step of a known runner")
    if ids.data_ptr() != offer.ids.data_ptr() or len(ids) > len(offer.ids):
        return Target(None, "the ids are not the runner's own")
    rows = offer.buffer[: len(ids)]
    like = (rows.dtype, rows.device, rows.shape[-1])
    fits = rows.dim() == 2 and len(rows) == len(ids) and rows.is_contiguous()
    if not fits or like != (table.dtype, table.device, table.shape[1]):
        return Target(None, "the runner's buffer has another form than the embedding table")
    return Target(rows, "the runner's ids")


@contextmanager
def offered(ids: object, buffer: object) -> Iterator[None]:
    """Inside, `target` finds `buffer` `[most, hidden]` for the leading part of `ids` `[most]`."""
    known = isinstance(ids, torch.Tensor) and isinstance(buffer, torch.Tensor)
    token = _OFFER.set(_Offer(ids, buffer) if known else None)
    try:
        yield
    finally:
        _OFFER.reset(token)


def follow_runners() -> None:
    """Learn of the buffers of both of vLLM's runners from now on; harmless when called again.

    A vLLM that has another runner offers nothing, which `target` then tells.
    """
    for module, owner, method, buffers in (
        ("vllm.v1.worker.gpu_model_runner", "GPUModelRunner", "_preprocess", _of_first_runner),
        (
            "vllm.v1.worker.gpu.mm.encoder_runner",
            "EncoderRunner",
            "get_inputs_embeds",
            _of_second_runner,
        ),
    ):
        try:
            found = getattr(importlib.import_module(module), owner)
        except (ImportError, AttributeError):
            continue
        theirs = getattr(found, method, None)
        if theirs is not None and not hasattr(theirs, "_sensorium"):
            setattr(found, method, _offering(theirs, buffers))


def _offering(theirs: Callable[..., Any], buffers: Callable[..., tuple[Any, Any]]) -> Any:
    @functools.wraps(theirs)
    def method(runner: Any, *args: Any, **options: Any) -> Any:
        with offered(*buffers(runner, *args, **options)):
            return theirs(runner, *args, **options)

    method._sensorium = True  # type: ignore[attr-defined]
    return method


def _of_first_runner(runner: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
    pair = (getattr(runner, "input_ids", None), getattr(runner, "inputs_embeds", None))
    ids, buffer = (getattr(both, "gpu", None) for both in pair)
    return ids, buffer


def _of_second_runner(runner: Any, input_ids: Any = None, *_: Any, **__: Any) -> tuple[Any, Any]:
    return input_ids, getattr(runner, "inputs_embeds", None)
