"""Text embeddings and media rows merged by one operator instead of vLLM's three.

vLLM 0.32 looks the text up, joins the media, writes them over the text by a mask
(`SupportsMultiModal.embed_input_ids`) and copies the result into the runner's buffer. One operator
that writes into the buffer replaces all of that, where the language model's table is a plain one:
no shards, no quantisation, no LoRA on it, at most a scale. Whether it is, is tried out on the first
call rather than read from class names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from vllm.model_executor.layers.vocab_parallel_embedding import (
    ParallelLMHead,
    VocabParallelEmbedding,
)

from sensorium.kernels import runtime
from sensorium.kernels.embed_merge import embed_merge, plan_merge
from sensorium.kernels.selection import Choice
from sensorium.model_adapters.engine.runner_buffer import TARGET, target

__all__ = ["Table", "merge", "plain_table", "prepare"]

_TABLE = "_sensorium_table"


@dataclass(frozen=True)
class Table:
    """What looks text up: `rows` `[vocabulary, hidden]`, each times `scale` (Gemma's is not 1)."""

    rows: torch.Tensor
    scale: float = 1.0


def merge(
    model: Any, input_ids: torch.Tensor, media: Any, is_media: torch.Tensor | None
) -> torch.Tensor | None:
    """`[tokens, hidden]`, or None where vLLM has to do it: no plain table, or shapes of its own.

    The result is a part of the runner's buffer where that is known; see `runner_buffer`.
    """
    if not hasattr(model, _TABLE):
        setattr(model, _TABLE, plain_table(model.get_language_model()))
    table: Table | None = getattr(model, _TABLE)
    if table is None or input_ids.dim() != 1:
        why = "ids of several dimensions" if table is not None else "no plain embedding table"
        runtime.count("embed_merge", Choice("vllm", why, fallback=True))
        return None
    rows = [] if media is None else [part.flatten(0, -2) for part in media]
    if is_media is None or not rows:
        rows, is_media = [], torch.zeros(len(input_ids), dtype=torch.bool)
    out = target(input_ids, table.rows)
    place = "own tensor" if out.rows is None else "runner's buffer"
    runtime.count(TARGET, Choice(place, out.reason, fallback=out.rows is None))
    return _merge(table, input_ids, rows, is_media, out.rows)


def _merge(
    table: Table,
    ids: torch.Tensor,
    media: list[torch.Tensor],
    is_media: torch.Tensor,
    out: torch.Tensor | None,
) -> torch.Tensor:
    rows = table.rows
    plan = plan_merge(is_media, [len(part) for part in media])
    out = rows.new_empty(len(ids), rows.shape[1]) if out is None else out
    plan = plan.to(rows.device, non_blocking=True)
    return embed_merge(ids, rows, media, plan, out, scale=table.scale)


def prepare(model: Any) -> None:
    """Once weights are loaded: refuse a mode that cannot be kept, and compile the merge.

    vLLM's profile run passes media through towers and projectors, but merges nothing.
    """
    parameter = next(model.parameters())
    runtime.require_mode(parameter.device)
    if model.fp8 is not None:
        model.fp8.remember(model)
    if parameter.device.type != "cpu":
        # Not kept, since LoRA may yet take the table's place.
        table = plain_table(model.get_language_model())
        if table is not None:
            ids = torch.zeros(1, dtype=torch.int32, device=parameter.device)
            _merge(table, ids, [], torch.zeros(1, dtype=torch.bool), None)


def plain_table(language_model: Any) -> Table | None:
    """The embedding table, if looking up and scaling is all that its model does."""
    found = [
        module
        for module in language_model.modules()
        if type(module) is VocabParallelEmbedding and not isinstance(module, ParallelLMHead)
    ]
    if len(found) != 1 or found[0].tp_size != 1:
        return None
    weight = getattr(found[0], "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.dim() != 2:
        return None
    rows = weight.data[: found[0].org_vocab_size]
    ids = torch.tensor([0, len(rows) // 2, len(rows) - 1], device=rows.device)
    looked_up = language_model.embed_input_ids(ids)
    for scale in (1.0, _normaliser(language_model)):
        if scale is not None and torch.equal(looked_up, rows[ids] * scale):
            return Table(rows, scale)
    return None


def _normaliser(language_model: Any) -> float | None:
    """By what vLLM's Gemma multiplies embedded text (`models/gemma.py` to `gemma3.py`)."""
    for module in language_model.modules():
        value = getattr(module, "normalizer", None)
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            return float(value)
    return None
