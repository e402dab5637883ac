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
from sensorium.kernels.gather_norm.cases import CASES as GATHER_NORM
from sensorium.kernels.pack_project import pack_project, pack_rows, plan_packing, tiled_rows
from sensorium.kernels.pack_project.cases import stitch, tiled_images
from sensorium.kernels.plans import all_rows

__all__ = ["STAGES"]

_PROLOGUES = {case.name: case for case in GATHER_NORM}


class _Projector:
    """One linear layer, or two with GELU between them."""

    def __init__(self, make: Maker, width: int, hidden: int, depth: int) -> None:
        widths = [width, *[hidden] * depth]
        self.layers = [
            (make.normal(out, into, scale=into**-0.5), make.normal(out, scale=0.1))
            for into, out in pairwise(widths)
        ]

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        rows = functional.linear(rows, *self.layers[0])
        for layer in self.layers[1:]:
            rows = functional.linear(functional.gelu(rows), *layer)
        return rows

    def flops(self, rows: int) -> int:
        """Of the products alone."""
        return 2 * rows * sum(int(weight.numel()) for weight, _ in self.layers)

    def in_fp8(self) -> nn.Sequential:
        """The same layers in e4m3."""
        modules: list[nn.Module] = []
        for layer in self.layers:
            modules += [*([nn.GELU()] if modules else []), Fp8Linear(*layer)]
        return nn.Sequential(*modules)

    def moved(self, rows: int, x: torch.Tensor) -> int:
        """Bytes of the input, the weights and the result."""
        out = int(rows * self.layers[-1][0].shape[0] * x.element_size())
        return bytes_of(x, *(tensor for layer in self.layers for tensor in layer)) + out


def _after(prologue: Case, depth: int) -> Callable[[Sizes, Maker], Work]:
    """The stage of a family whose features an operator prepares."""

    def build(sizes: Sizes, make: Maker) -> Work:
        work = prologue.build(sizes, make)
        tokens, width = work.ours(work.x).shape
        projector = _Projector(make, width, sizes["hidden"], depth)
        return replace(
            work,
            eager=lambda x: projector(work.eager(x)),
            ours=lambda x: projector(work.ours(x)),
            moved=projector.moved(tokens, work.x),
            flops=projector.flops(tokens),
        )

    return build


def _llava(sizes: Sizes, make: Maker) -> Work:
    """LLaVA-1.5: vLLM projects a view without the CLS rows, which costs it the fused bias."""
    images, rows, width, hidden = (sizes[k] for k in ("images", "rows", "width", "hidden"))
    x = make.normal(images, rows + 1, width)
    projector = _Projector(make, width, hidden, 2)
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
    projector = _Projector(make, width, hidden, 2)
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


def _stage(name: str, depth: int, hidden: int) -> Case:
    """The stage after the declared case of that name."""
    case = _PROLOGUES[name]
    tiny, real = {**case.tiny, "hidden": 16}, {**case.real, "hidden": hidden}
    return Case(name, "stage", tiny, real, _after(case, depth))


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
    _stage("internvl", 2, 4096),
    _stage("qwen2-vl", 2, 3584),
    _stage("idefics3", 1, 4096),
    _stage("smolvlm", 1, 576),
    _stage("gemma-3", 1, 2560),
    _stage("qwen2-audio", 1, 4096),
    _stage("mistral-3", 1, 1024),
)
