"""Projection stages: from the tower's features to the language model's rows.

A stage is a declared case of an operator followed by the family's linear layers, at the width of a
published model. Its `eager` side is what vLLM 0.32 runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sensorium.kernels.cases import Case, Maker, Sizes, Work, bytes_of
from sensorium.kernels.fp8 import Fp8Linear, largest_error, rows_for
from sensorium.kernels.gather_norm import gather_norm
from sensorium.kernels.gather_norm.cases import CASES as GATHER_NORM
from sensorium.kernels.ldpv2_tail.cases import CASES as LDPV2_TAIL
from sensorium.kernels.pack_project import pack_project, pack_rows, plan_packing, tiled_rows
from sensorium.kernels.pack_project.cases import stitch, tiled_images
from sensorium.kernels.plans import all_rows, valid_frames

__all__ = ["STAGES"]

_PROLOGUES = {case.name: case for case in (*GATHER_NORM, *LDPV2_TAIL)}


class _Projector:
    """Linear layers of these widths, with GELU before the last where there are several."""

    def __init__(self, make: Maker, *widths: int) -> None:
        self.layers = [
            (make.normal(out, into, scale=into**-0.5), make.normal(out, scale=0.1))
            for into, out in pairwise(widths)
        ]

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        *before, last = self.layers
        for layer in before:
            rows = functional.linear(rows, *layer)
        return functional.linear(functional.gelu(rows) if before else rows, *last)

    def flops(self, rows: int) -> int:
        """Of the products alone."""
        return 2 * rows * sum(int(weight.numel()) for weight, _ in self.layers)

    def in_fp8(self) -> nn.Sequential:
        """The same layers in e4m3."""
        modules: list[nn.Module] = [Fp8Linear(*layer) for layer in self.layers]
        if len(modules) > 1:
            modules.insert(-1, nn.GELU())
        return nn.Sequential(*modules)

    def moved(self, rows: int, x: torch.Tensor) -> int:
        """Bytes of the input, the weights and the result."""
        out = int(rows * self.layers[-1][0].shape[0] * x.element_size())
        return bytes_of(x, *(tensor for layer in self.layers for tensor in layer)) + out


def _widths(sizes: Sizes) -> list[int]:
    """The projector's layers, `layer1` and on."""
    return [size for name, size in sizes.items() if name.startswith("layer")]


def _after(prologue: Case) -> Callable[[Sizes, Maker], Work]:
    """The stage of a family whose features an operator prepares."""

    def build(sizes: Sizes, make: Maker) -> Work:
        work = prologue.build(sizes, make)
        tokens, width = work.ours(work.x).shape
        projector = _Projector(make, width, *_widths(sizes))
        return replace(
            work,
            eager=lambda x: projector(work.eager(x)),
            ours=lambda x: projector(work.ours(x)),
            moved=projector.moved(tokens, work.x),
            flops=projector.flops(tokens),
        )

    return build


def _qwen2_audio(sizes: Sizes, make: Maker) -> Work:
    """Qwen2-Audio: vLLM projects all of each clip, then picks what held sound by a mask."""
    clips, frames, width, kept = (sizes[k] for k in ("clips", "frames", "width", "kept"))
    x = make.normal(clips, frames, width)
    norm = make.normal(width, scale=0.2, mean=1.0), make.normal(width, scale=0.2)
    projector = _Projector(make, width, *_widths(sizes))
    lengths = tuple(max(1, kept - clip) for clip in range(clips))
    index = valid_frames(lengths, frames, 2, x.device)
    sounds = torch.tensor(lengths, device=x.device)[:, None]

    def eager(x: torch.Tensor) -> torch.Tensor:
        pooled = functional.avg_pool1d(x.permute(0, 2, 1), 2, 2).permute(0, 2, 1)
        projected = projector(functional.layer_norm(pooled, (width,), *norm, 1e-5))
        mask = torch.arange(frames // 2, device=x.device)[None] < sounds
        return projected[mask].view(-1, projected.shape[-1])

    def ours(x: torch.Tensor) -> torch.Tensor:
        rows = x.flatten(0, 1)
        return projector(gather_norm(rows, index, *norm, norm="layer", eps=1e-5, pool=True))

    moved, flops = projector.moved(len(index), x[0, : 2 * kept]), projector.flops(len(index))
    return Work(x, eager, ours, moved, flops, eager_captured=False)


def _mobilevlm(sizes: Sizes, make: Maker) -> Work:
    """MobileVLM V2: two layers, then the tail, which leaves a quarter of the tokens."""
    rows = make.normal(sizes["images"] * sizes["grid"] ** 2, sizes["features"])
    projector = _Projector(make, sizes["features"], *_widths(sizes))
    work = _PROLOGUES["mobilevlm-v2"].build({**sizes, "width": _widths(sizes)[-1]}, make)
    return replace(
        work,
        x=rows,
        eager=lambda x: work.eager(projector(x)),
        ours=lambda x: work.ours(projector(x)),
        moved=projector.moved(len(rows) // 4, rows),
        flops=projector.flops(len(rows)),
    )


def _llava(sizes: Sizes, make: Maker) -> Work:
    """LLaVA-1.5: vLLM projects a view without the CLS rows, which costs it the fused bias."""
    images, rows, width, hidden = (sizes[k] for k in ("images", "rows", "width", "hidden"))
    x = make.normal(images, rows + 1, width)
    projector = _Projector(make, width, hidden, hidden)
    source = all_rows(images, rows + 1, 1, x.device).flatten()

    def kept(x: torch.Tensor) -> torch.Tensor:
        return pack_rows(x.flatten(0, 1), source)

    return Work(
        x,
        lambda x: projector(x[:, 1:]).reshape(-1, hidden),
        lambda x: projector(kept(x)),
        projector.moved(images * rows, x),
        projector.flops(images * rows),
        others=_candidates(projector, source, x),
        allowed={"fp8": largest_error(2)},
    )


def _candidates(
    projector: _Projector, source: torch.Tensor, x: Any
) -> dict[str, Callable[[Any], torch.Tensor]]:
    """Projection in e4m3 and, on a GPU, the gather-GELU product in each configuration."""
    if x.dtype != torch.bfloat16:
        return {}
    fp8 = projector.in_fp8()
    gather = rows_for(fp8[0])
    found: dict[str, Callable[[Any], torch.Tensor]] = {
        "fp8": lambda x: fp8(gather(x.flatten(0, 1), source))
    }
    if x.device.type != "cuda":
        return found
    from sensorium.benchmarks.kernels.gelu_gemm import CONFIGS, gather_linear_gelu

    first, second = projector.layers
    for number, config in enumerate(CONFIGS):

        def fused(x: Any, config: Any = config) -> torch.Tensor:
            hidden = gather_linear_gelu(x.flatten(0, 1), source, *first, config)
            return functional.linear(hidden, *second)

        found[f"gelu_fit-{number}"] = fused
    return found


def _llava_next(sizes: Sizes, make: Maker) -> Work:
    """LLaVA-1.6: vLLM projects every tile's rows and then throws the padding away."""
    grid, width, hidden = sizes["grid"], sizes["width"], sizes["hidden"]
    images = tiled_images(sizes["images"], grid)
    squares = [image.squares for image in images]
    x = make.normal(sum(squares), grid * grid + 1, width)
    projector = _Projector(make, width, hidden, hidden)
    newline = make.normal(hidden)
    plan = plan_packing([tiled_rows(image, grid, skip=1) for image in images], x.device)

    def eager(x: torch.Tensor) -> torch.Tensor:
        parts = projector(x[:, 1:]).split(squares)
        pairs = zip(parts, images, strict=True)
        return torch.cat([stitch(rows, image, grid, newline) for rows, image in pairs])

    def ours(x: torch.Tensor) -> torch.Tensor:
        return torch.cat(pack_project(x.flatten(0, 1), plan, projector, newline))

    tokens = len(plan.source)
    return Work(x, eager, ours, projector.moved(tokens, x), projector.flops(tokens))


def _stage(
    name: str,
    *widths: int,
    build: Callable[[Sizes, Maker], Work] | None = None,
    **more: int,
) -> Case:
    """The stage after the declared case of that name, with a projector of these widths."""
    case = _PROLOGUES[name]
    real = {f"layer{number}": width for number, width in enumerate(widths, 1)}
    return Case(
        name,
        "stage",
        {**case.tiny, **dict.fromkeys(real, 16), **dict.fromkeys(more, 24)},
        {**case.real, **real, **more},
        build or _after(case),
    )


STAGES = (
    Case(
        "llava-1.5-7b",
        "stage",
        tiny={"images": 2, "rows": 9, "width": 64, "hidden": 48},
        real={"images": 8, "rows": 576, "width": 1024, "hidden": 4096},
        build=_llava,
    ),
    Case(
        "llava-next-7b",
        "stage",
        tiny={"images": 5, "grid": 4, "width": 24, "hidden": 32},
        real={"images": 8, "grid": 24, "width": 1024, "hidden": 4096},
        build=_llava_next,
    ),
    _stage("internvl", 4096, 4096),
    _stage("qwen2-vl", 5120, 3584),
    _stage("qwen2.5-vl", 5120, 3584),
    _stage("idefics3", 4096),
    _stage("smolvlm", 576),
    _stage("gemma-3", 2560),
    _stage("qwen2-audio", 4096, build=_qwen2_audio),
    _stage("mistral-3", 1024, 5120, 5120),
    _stage("mobilevlm-v2", 2048, 2048, build=_mobilevlm, features=1024),
)
