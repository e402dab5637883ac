"""The operator `sensorium::embed_merge`, which writes into the buffer it is given."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sensorium.kernels import runtime
from sensorium.kernels.embed_merge import naive
from sensorium.kernels.library import register
from sensorium.kernels.selection import Problem

__all__ = ["embed_merge"]


def embed_merge(
    ids: torch.Tensor,
    table: torch.Tensor,
    media: Sequence[torch.Tensor],
    plan: torch.Tensor,
    out: torch.Tensor,
    *,
    scale: float = 1.0,
) -> torch.Tensor:
    """Fill `out` `[tokens, hidden]` and return it.

    Text tokens take row `ids` of `table` `[vocabulary, hidden]`, ids outside of it row 0, times
    `scale`; media tokens take the row of `media` (each `[rows, hidden]`) that `plan` of
    `plan_merge`, on the device of `ids`, says. Raises ValueError for shapes that do not fit.
    """
    _EMBED_MERGE(ids, table, list(media), plan, scale, out)
    return out


def _check(
    ids: torch.Tensor,
    table: torch.Tensor,
    media: Sequence[torch.Tensor],
    plan: torch.Tensor,
    out: torch.Tensor,
) -> None:
    tokens, hidden = ids.shape[0], table.shape[1]
    if tuple(out.shape) != (tokens, hidden) or tuple(plan.shape) != (2, tokens):
        raise ValueError(
            f"{tokens} ids of width {hidden} need out [{tokens}, {hidden}] and plan [2, {tokens}], "
            f"got {list(out.shape)} and {list(plan.shape)}"
        )
    if out.dtype != table.dtype or not out.is_contiguous():
        raise ValueError(f"out must be dense and of {table.dtype}, got {out.dtype}")
    for tensor in media:
        if tensor.dim() != 2 or tensor.shape[1] != hidden:
            raise ValueError(f"media rows must be {hidden} wide, got {list(tensor.shape)}")


def _run(
    ids: torch.Tensor,
    table: torch.Tensor,
    media: Sequence[torch.Tensor],
    plan: torch.Tensor,
    scale: float,
    out: torch.Tensor,
) -> None:
    _check(ids, table, media, plan, out)
    dtype = str(table.dtype).removeprefix("torch.")
    variant = "" if scale == 1 else "scaled"
    problem = Problem("embed_merge", len(ids), (table.shape[1],), dtype, variant)
    choice = runtime.choose(problem, table.device)
    if choice.backend == "reference":
        naive.embed_merge(ids, table, media, plan, scale, out)
        return
    from sensorium.kernels.embed_merge.triton import launch

    rows = [tensor.to(table.dtype).contiguous() for tensor in media]
    for config in runtime.configurations(problem, choice, table.device):
        launch(ids.contiguous(), table, rows, plan.contiguous(), scale, out, config)


def _fake(
    ids: torch.Tensor,
    table: torch.Tensor,
    media: Sequence[torch.Tensor],
    plan: torch.Tensor,
    scale: float,
    out: torch.Tensor,
) -> None:
    _check(ids, table, media, plan, out)


_EMBED_MERGE = register(
    "embed_merge(Tensor ids, Tensor table, Tensor[] media, Tensor plan, float scale, "
    "Tensor(a!) out) -> ()",
    _run,
    _fake,
)
