"""The definition of embed_merge in plain torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["embed_merge"]


def embed_merge(
    ids: torch.Tensor,
    table: torch.Tensor,
    media: Sequence[torch.Tensor],
    plan: torch.Tensor,
    scale: float,
    out: torch.Tensor,
) -> None:
    """Fill `out` `[tokens, hidden]` from `table` `[vocabulary, hidden]` and the media rows.

    Text rows are multiplied by `scale`, media rows are not.

    A text id outside the table is looked up as 0: it can come from a prompt, and must not end the
    engine. Media places never read the table.
    """
    owner, row = plan[0], plan[1]
    known = (owner < 0) & (ids >= 0) & (ids < table.shape[0])
    text = table[torch.where(known, ids, 0).long()]
    if scale != 1:
        text = text * scale
    if not sum(len(tensor) for tensor in media):
        out.copy_(text)
        return
    rows = torch.cat(list(media)).to(out.dtype)
    starts = torch.tensor([0, *(len(tensor) for tensor in media)]).cumsum(0)[:-1].to(ids.device)
    # Every token picks a row, text its first: finding the media tokens would wait for the device.
    source = starts[owner.clamp_min(0).long()] + row.clamp_min(0)
    torch.where((owner < 0)[:, None], text, rows[torch.where(owner < 0, 0, source)], out=out)
