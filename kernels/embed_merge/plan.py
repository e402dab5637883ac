"""Which token of a batch takes which media row."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["plan_merge"]


def plan_merge(is_media: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """`[2, tokens]` int32: the number of the media tensor (-1 for text) and the row in it.

    `is_media` is the batch's boolean mask `[tokens]`, `lengths` the rows of each media tensor, in
    the order of the prompt. Built on the CPU, where vLLM keeps the mask. Raises ValueError when the
    mask and the lengths do not count the same.
    """
    mask = is_media.cpu()
    places = int(mask.sum())
    if places != sum(lengths):
        raise ValueError(f"got {sum(lengths)} media rows for {places} places in the prompt")
    owner = torch.repeat_interleave(
        torch.arange(len(lengths), dtype=torch.int32), torch.tensor(lengths, dtype=torch.int64)
    )
    rows = [torch.arange(length, dtype=torch.int32) for length in lengths]
    plan = torch.full((2, len(mask)), -1, dtype=torch.int32)
    if places:
        plan[0, mask] = owner
        plan[1, mask] = torch.cat(rows)
    return plan
