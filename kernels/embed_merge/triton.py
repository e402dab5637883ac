"""embed_merge on a GPU: one launch reads each row once and writes it where it is needed.

ModelTC/LightLLM has a kernel for the same purpose (multimodal_emb.py); this one reads the media
through a table of pointers, so that nothing is joined first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import triton
import triton.language as tl

from sensorium.kernels.compile_options import COMPILE_OPTIONS

__all__ = ["launch", "merge_kernel"]

_ALIGNED = 16


@triton.jit(do_not_specialize=["tokens"])
def merge_kernel(
    ids,
    plan,
    pointers,
    table,
    out,
    tokens,
    vocabulary: tl.constexpr,
    width: tl.constexpr,
    block_columns: tl.constexpr,
    aligned: tl.constexpr,
    scale: tl.constexpr,
):
    """A block of columns of one token."""
    token = tl.program_id(0)
    column = tl.program_id(1) * block_columns + tl.arange(0, block_columns)
    inside = column < width
    owner = tl.load(plan + token)
    if owner < 0:
        text = tl.load(ids + token).to(tl.int64)
        text = tl.where((text >= 0) & (text < vocabulary), text, 0)
        values = tl.load(table + text * width + column, mask=inside, other=0.0)
        if scale != 1.0:
            values = (values.to(tl.float32) * scale).to(table.dtype.element_ty)
    else:
        row = tl.load(plan + tokens + token).to(tl.int64)
        media = tl.load(pointers + owner).to(tl.pointer_type(table.dtype.element_ty))
        if aligned:
            media = tl.multiple_of(media, 16)
        values = tl.load(media + row * width + column, mask=inside, other=0.0)
    tl.store(out + token.to(tl.int64) * width + column, values, mask=inside)


def launch(
    ids: torch.Tensor,
    table: torch.Tensor,
    media: Sequence[torch.Tensor],
    plan: torch.Tensor,
    scale: float,
    out: torch.Tensor,
    config: Mapping[str, int],
) -> None:
    """Fill `out`; everything dense, media of the table's dtype.

    The table of pointers is copied to the device at each call, so that a launch is not captured
    with the addresses of one batch: merges happen outside of graphs.
    """
    tokens, width = out.shape
    if tokens == 0:
        return
    addresses = [tensor.data_ptr() for tensor in media] or [0]
    pointers = torch.tensor(addresses, dtype=torch.int64).to(table.device, non_blocking=True)
    columns = min(config["block_columns"], triton.next_power_of_2(width))
    merge_kernel[(tokens, triton.cdiv(width, columns))](
        ids,
        plan,
        pointers,
        table,
        out,
        tokens,
        vocabulary=table.shape[0],
        width=width,
        block_columns=columns,
        aligned=all(address % _ALIGNED == 0 for address in addresses),
        scale=scale,
        num_warps=config["num_warps"],
        **COMPILE_OPTIONS,
    )
