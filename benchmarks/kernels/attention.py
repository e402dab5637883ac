"""Attention of a vision tower over images of different sizes: who does it fastest?

The server's own towers use torch's SDPA, image by image. Held against it: SDPA over everything
under a block-diagonal mask; on CUDA xformers' memory-efficient attention with its block-diagonal
mask, where it is installed, and the varlen flash attention that vLLM's encoders use.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch.nn.functional import scaled_dot_product_attention as sdpa

from sensorium.kernels.cases import Case, Maker, Sizes, Work, bytes_of

__all__ = ["ATTENTION"]

Call = Callable[[torch.Tensor], torch.Tensor]


def _lengths(sizes: Sizes) -> list[int]:
    """Patches of each image: the sizes of tiles and thumbnails, the largest first."""
    shares = (1.0, 0.5, 0.75, 0.25)
    return [max(1, int(sizes["patches"] * shares[n % 4])) for n in range(sizes["images"])]


def _build(sizes: Sizes, make: Maker) -> Work:
    """`x` is `[3, patches of all images, heads, width of a head]`."""
    lengths = _lengths(sizes)
    heads, width = sizes["heads"], sizes["width"]
    x = make.normal(3, sum(lengths), heads, width)

    def each(x: torch.Tensor) -> torch.Tensor:
        parts = [
            sdpa(*(tensor.transpose(0, 1)[None] for tensor in part))[0].transpose(0, 1)
            for part in x.split(lengths, dim=1)
        ]
        return torch.cat(parts)

    owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).to(x.device)
    mask = owner[:, None] == owner[None, :]

    def masked(x: torch.Tensor) -> torch.Tensor:
        q, k, v = x.transpose(1, 2)[:, None]
        return sdpa(q, k, v, attn_mask=mask)[0].transpose(0, 1)

    flops = sum(4 * length * length * heads * width for length in lengths)
    others: dict[str, Call] = {"sdpa-masked": masked}
    if x.device.type == "cuda" and x.dtype in (torch.float16, torch.bfloat16):
        others |= _on_cuda(lengths, x.device)
    return Work(x, each, each, bytes_of(x) * 4 // 3, flops, others)


def _on_cuda(lengths: list[int], device: torch.device) -> dict[str, Call]:
    found: dict[str, Call] = {}
    if find_spec("vllm") is not None:
        from vllm.v1.attention.backends.fa_utils import flash_attn_varlen_func

        ends = torch.tensor([0, *lengths], device=device).cumsum(0).int()

        def vllm(x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = flash_attn_varlen_func(
                *x,
                cu_seqlens_q=ends,
                cu_seqlens_k=ends,
                max_seqlen_q=max(lengths),
                max_seqlen_k=max(lengths),
                causal=False,
            )
            return out

        found["vllm"] = vllm
    if find_spec("xformers") is not None:
        from xformers.ops import memory_efficient_attention
        from xformers.ops.fmha.attn_bias import BlockDiagonalMask

        blocks = BlockDiagonalMask.from_seqlens(lengths)

        def xformers(x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = memory_efficient_attention(*x[:, None], attn_bias=blocks)[0]
            return out

        found["xformers"] = xformers
    return found


ATTENTION = (
    Case(
        "clip-336",
        "attention",
        tiny={"images": 3, "patches": 17, "heads": 2, "width": 8},
        real={"images": 8, "patches": 577, "heads": 16, "width": 64},
        build=_build,
    ),
    Case(
        "qwen2-vl-tower",
        "attention",
        tiny={"images": 5, "patches": 12, "heads": 2, "width": 16},
        real={"images": 8, "patches": 5184, "heads": 16, "width": 80},
        build=_build,
    ),
)
