"""Batches of text and media tokens: as long as a prompt, a full batch, and a step of decoding."""

from __future__ import annotations

import torch

from sensorium.kernels.cases import Case, Maker, Sizes, Work, bytes_of
from sensorium.kernels.embed_merge.op import embed_merge
from sensorium.kernels.embed_merge.plan import plan_merge

__all__ = ["CASES"]


def _batch(sizes: Sizes, make: Maker) -> Work:
    tokens, items, rows, hidden = sizes["tokens"], sizes["items"], sizes["rows"], sizes["hidden"]
    table = make.normal(sizes["vocabulary"], hidden)
    x = make.integers(0, sizes["vocabulary"], tokens)
    media = [make.normal(rows, hidden) for _ in range(items)]
    is_media = torch.zeros(tokens, dtype=torch.bool)
    for item in range(items):
        is_media[item * (rows + 1) + 1 : (item + 1) * (rows + 1)] = True
    # Placeholders lie outside the table, as a model's own image token may.
    x[is_media.to(x.device)] = sizes["vocabulary"] + 7
    plan = plan_merge(is_media, [rows] * items).to(x.device)
    buffer = table.new_empty(tokens, hidden)
    # Held exactly by every dtype, as Gemma's factor is that vLLM rounds: 50.5 for its 4B model.
    scale = sizes.get("eighths", 8) / 8

    def eager(x: torch.Tensor) -> torch.Tensor:
        # vLLM 0.32: `embed_input_ids`, `_merge_multimodal_embeddings` and the runner's copy.
        inside = x.masked_fill(x >= len(table), 0)
        embedded = torch.nn.functional.embedding(inside, table)
        if scale != 1:
            embedded = embedded * scale
        if media:
            embedded[is_media] = torch.cat(media)
        return buffer.copy_(embedded)

    def ours(x: torch.Tensor) -> torch.Tensor:
        return embed_merge(x, table, media, plan, buffer, scale=scale)

    return Work(x, eager, ours, 2 * bytes_of(buffer), captured=False, eager_captured=False)


CASES = (
    Case(
        "one-image",
        "embed_merge",
        tiny={"tokens": 23, "items": 2, "rows": 7, "hidden": 40, "vocabulary": 31},
        real={"tokens": 640, "items": 1, "rows": 576, "hidden": 4096, "vocabulary": 32064},
        build=_batch,
    ),
    Case(
        "full-batch",
        "embed_merge",
        tiny={"tokens": 19, "items": 3, "rows": 1, "hidden": 33, "vocabulary": 31},
        real={"tokens": 8192, "items": 8, "rows": 960, "hidden": 4096, "vocabulary": 32064},
        build=_batch,
    ),
    Case(
        "gemma-3-batch",
        "embed_merge",
        tiny={"tokens": 17, "items": 2, "rows": 5, "hidden": 40, "vocabulary": 31, "eighths": 404},
        real={
            "tokens": 2176,
            "items": 8,
            "rows": 256,
            "hidden": 2560,
            "vocabulary": 65536,
            "eighths": 404,
        },
        build=_batch,
    ),
    Case(
        "decoding",
        "embed_merge",
        tiny={"tokens": 3, "items": 0, "rows": 0, "hidden": 64, "vocabulary": 31},
        real={"tokens": 64, "items": 0, "rows": 0, "hidden": 4096, "vocabulary": 32064},
        build=_batch,
    ),
)
