"""Text embeddings and media rows merged by one operator instead of vLLM's three.

vLLM 0.32 looks the text up, joins the media, writes them over the text by a mask
(`SupportsMultiModal.embed_input_ids`) and copies the result into the runner's buffer. That is
replaced where the language model's table is a plain one: no shards, no quantisation, no LoRA on it,
no scale. Whether it is, is tried out on the first call rather than read from class names.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.model_executor.layers.vocab_parallel_embedding import (
    ParallelLMHead,
    VocabParallelEmbedding,
)

from sensorium.kernels import runtime
from sensorium.kernels.embed_merge import embed_merge, plan_merge

__all__ = ["merge", "plain_table", "prepare"]

_TABLE = "_sensorium_table"


def merge(
    model: Any, input_ids: torch.Tensor, media: Any, is_media: torch.Tensor | None
) -> torch.Tensor | None:
    """`[tokens, hidden]`, or None where vLLM has to do it: no plain table, or shapes of its own."""
    if not hasattr(model, _TABLE):
        setattr(model, _TABLE, plain_table(model.get_language_model()))
    table = getattr(model, _TABLE)
    if table is None or input_ids.dim() != 1:
        return None
    rows = [] if media is None else [part.flatten(0, -2) for part in media]
    if is_media is None or not rows:
        rows, is_media = [], torch.zeros(len(input_ids), dtype=torch.bool)
    plan = plan_merge(is_media, [len(part) for part in rows])
    out = table.new_empty(len(input_ids), table.shape[1])
    return embed_merge(input_ids, table, rows, plan.to(table.device, non_blocking=True), out)


def prepare(model: Any) -> None:
    """Once weights are loaded: refuse a mode that cannot be kept, and compile the merge.

    vLLM's profile run passes media through towers and projectors, but merges nothing.
    """
    parameter = next(model.parameters())
    runtime.require_mode(parameter.device)
    if parameter.device.type != "cpu":
        ids = torch.zeros(1, dtype=torch.int32, device=parameter.device)
        merge(model, ids, None, None)
        delattr(model, _TABLE)  # LoRA may yet take the table's place


def plain_table(language_model: Any) -> torch.Tensor | None:
    """The embedding table `[vocabulary, hidden]`, if looking up is all that its model does."""
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
    table = weight.data[: found[0].org_vocab_size]
    ids = torch.tensor([0, len(table) // 2, len(table) - 1], device=table.device)
    looked_up = language_model.embed_input_ids(ids)
    return table if torch.equal(looked_up, table[ids]) else None
