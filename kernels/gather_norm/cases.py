"""What families gather and normalise before they project."""

from __future__ import annotations

import torch
from torch.nn import functional

from sensorium.kernels.cases import Case, Maker, Sizes, Work, bytes_of
from sensorium.kernels.gather_norm.naive import E4M3_MAX, quantise_rows
from sensorium.kernels.gather_norm.op import Norm, gather_norm, gather_norm_fp8
from sensorium.kernels.plans import all_rows, squares, valid_frames

__all__ = ["CASES"]


def _internvl(sizes: Sizes, make: Maker) -> Work:
    """InternVL: the CLS row dropped, 2x2 squares joined, LayerNorm over them."""
    images, grid, width = sizes["images"], sizes["grid"], sizes["width"]
    x = make.normal(images, grid * grid + 1, width, mean=3.0)
    gain, shift = make.normal(4 * width, scale=0.2, mean=1.0), make.normal(4 * width, scale=0.2)
    index = squares(images, grid, grid, 2, 1, x.device)

    def eager(x: torch.Tensor) -> torch.Tensor:
        # OpenGVLab/InternVL, modeling_internvl_chat.py (`pixel_shuffle`, ps_version v2).
        grids = x[:, 1:].reshape(images, grid, grid, width)
        rows = grids.view(images, grid, grid // 2, width * 2).permute(0, 2, 1, 3).contiguous()
        rows = rows.view(images, grid // 2, grid // 2, width * 4).permute(0, 2, 1, 3).contiguous()
        joined = rows.view(-1, 4 * width)
        return functional.layer_norm(joined, (4 * width,), gain, shift, 1e-5)

    def ours(x: torch.Tensor) -> torch.Tensor:
        return gather_norm(x.flatten(0, 1), index, gain, shift, norm="layer", eps=1e-5)

    return Work(x, eager, ours, 2 * bytes_of(x))


def _idefics3(sizes: Sizes, make: Maker) -> Work:
    """Idefics3 and SmolVLM: squares of the grid joined, no norm."""
    images, grid, width, edge = sizes["images"], sizes["grid"], sizes["width"], sizes["edge"]
    x = make.normal(images, grid * grid, width)
    index = squares(images, grid, grid, edge, 0, x.device)

    def eager(x: torch.Tensor) -> torch.Tensor:
        # huggingface/transformers, modeling_idefics3.py (`Idefics3Connector.pixel_shuffle`).
        rows = x.view(images, grid, grid // edge, width * edge).permute(0, 2, 1, 3)
        rows = rows.reshape(images, grid // edge, grid // edge, width * edge**2)
        return rows.permute(0, 2, 1, 3).reshape(-1, width * edge**2)

    def ours(x: torch.Tensor) -> torch.Tensor:
        return gather_norm(x.flatten(0, 1), index)

    return Work(x, eager, ours, 2 * bytes_of(x))


def _llava(sizes: Sizes, make: Maker) -> Work:
    """LLaVA-1.5: the CLS row dropped into dense rows, so that the projection adds its bias free."""
    images, rows, width = sizes["images"], sizes["rows"], sizes["width"]
    x = make.normal(images, rows + 1, width)
    index = all_rows(images, rows + 1, 1, x.device)
    return Work(
        x,
        lambda x: x[:, 1:].reshape(-1, width),
        lambda x: gather_norm(x.flatten(0, 1), index),
        2 * bytes_of(x),
    )


def _qwen(sizes: Sizes, make: Maker) -> Work:
    """Qwen2-VL: LayerNorm of each patch, four patches joined."""
    patches, width = sizes["patches"], sizes["width"]
    x = make.normal(patches, width, mean=-1.0)
    gain, shift = make.normal(width, scale=0.2, mean=1.0), make.normal(width, scale=0.2)
    index = torch.arange(patches, dtype=torch.int32, device=x.device).view(-1, 4)

    def eager(x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, (width,), gain, shift, 1e-6).view(-1, 4 * width)

    def ours(x: torch.Tensor) -> torch.Tensor:
        return gather_norm(x, index, gain, shift, norm="layer", each=True)

    return Work(x, eager, ours, 2 * bytes_of(x))


def _qwen2_5(sizes: Sizes, make: Maker) -> Work:
    """Qwen2.5-VL: RMSNorm of each patch, four patches joined."""
    patches, width = sizes["patches"], sizes["width"]
    x = make.normal(patches, width, mean=-1.0)
    gain = make.normal(width, scale=0.2, mean=1.0)
    index = torch.arange(patches, dtype=torch.int32, device=x.device).view(-1, 4)

    def eager(x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, (width,), gain, 1e-6).view(-1, 4 * width)

    def ours(x: torch.Tensor) -> torch.Tensor:
        return gather_norm(x, index, gain, norm="rms", each=True)

    return Work(x, eager, ours, 2 * bytes_of(x))


def _mistral3(sizes: Sizes, make: Maker) -> Work:
    """Mistral-3: RMSNorm of each patch, 2x2 squares joined."""
    grid, width = sizes["grid"], sizes["width"]
    x = make.normal(grid * grid, width)
    gain = make.normal(width, scale=0.2, mean=1.0)
    index = squares(1, grid, grid, 2, 0, x.device)

    def eager(x: torch.Tensor) -> torch.Tensor:
        # Square by square where the authors' `unfold` goes channel by channel: see fold.py.
        normed = functional.rms_norm(x, (width,), gain, 1e-5).view(grid // 2, 2, grid // 2, 2, -1)
        return normed.transpose(1, 2).reshape(-1, 4 * width)

    def ours(x: torch.Tensor) -> torch.Tensor:
        return gather_norm(x, index, gain, norm="rms", eps=1e-5, each=True)

    return Work(x, eager, ours, 2 * bytes_of(x))


def _gemma3(sizes: Sizes, make: Maker) -> Work:
    """Gemma-3: squares averaged, RMSNorm with a gain of one plus the weight."""
    images, grid, width, edge = sizes["images"], sizes["grid"], sizes["width"], sizes["edge"]
    x = make.normal(images, grid * grid, width, mean=0.5)
    gain = make.normal(width, scale=0.2)
    index = squares(images, grid, grid, edge, 0, x.device)

    def eager(x: torch.Tensor) -> torch.Tensor:
        # huggingface/transformers, modeling_gemma3.py (`Gemma3MultiModalProjector`).
        image = x.transpose(1, 2).reshape(images, width, grid, grid).contiguous()
        pooled = functional.avg_pool2d(image, edge, edge).flatten(2).transpose(1, 2)
        wide = pooled.double() if pooled.dtype == torch.float64 else pooled.float()
        normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-6)
        return (normed * (1.0 + gain.to(wide.dtype))).to(x.dtype).reshape(-1, width)

    one_plus = 1.0 + (gain.double() if gain.dtype == torch.float64 else gain.float())

    def ours(x: torch.Tensor) -> torch.Tensor:
        return gather_norm(x.flatten(0, 1), index, one_plus, norm="rms", pool=True)

    return Work(x, eager, ours, bytes_of(x) * (edge**2 + 1) // edge**2)


def _qwen2_audio(sizes: Sizes, make: Maker) -> Work:
    """Qwen2-Audio: pairs of frames averaged, LayerNorm; only the frames that hold sound."""
    clips, frames, width, kept = sizes["clips"], sizes["frames"], sizes["width"], sizes["kept"]
    x = make.normal(clips, frames, width)
    gain, shift = make.normal(width, scale=0.2, mean=1.0), make.normal(width, scale=0.2)
    lengths = tuple(max(1, kept - clip) for clip in range(clips))
    index = valid_frames(lengths, frames, 2, x.device)

    def eager(x: torch.Tensor) -> torch.Tensor:
        pooled = functional.avg_pool1d(x.permute(0, 2, 1), 2, 2).permute(0, 2, 1)
        normed = functional.layer_norm(pooled, (width,), gain, shift, 1e-5)
        return torch.cat([normed[clip, :length] for clip, length in enumerate(lengths)])

    def ours(x: torch.Tensor) -> torch.Tensor:
        rows = x.flatten(0, 1)
        return gather_norm(rows, index, gain, shift, norm="layer", eps=1e-5, pool=True)

    return Work(x, eager, ours, bytes_of(x) * sum(lengths) * 3 // (clips * frames))


def _rows_in_e4m3(sizes: Sizes, make: Maker) -> Work:
    """Rows quantised for a layer in e4m3, joined and normalised before where `segments` are."""
    tokens, width, segments = sizes["vectors"], sizes["width"], sizes.get("segments", 1)
    x = make.normal(tokens * segments, width)
    gain = make.normal(segments * width, scale=0.2, mean=1.0) if segments > 1 else None
    index = torch.arange(len(x), dtype=torch.int32, device=x.device).view(-1, segments)
    norm: Norm = "none" if gain is None else "layer"

    def eager(x: torch.Tensor) -> torch.Tensor:
        rows = x.view(tokens, -1)
        if gain is not None:
            rows = functional.layer_norm(rows, gain.shape, gain, None, 1e-5)
        if rows.dtype != torch.float64:
            return quantise_rows(rows.float())[0]
        return rows / (rows.abs().amax(1, keepdim=True) / E4M3_MAX)

    def ours(x: torch.Tensor) -> torch.Tensor:
        return gather_norm_fp8(x, index, gain, norm=norm, eps=1e-5)[0]

    return Work(x, eager, ours, bytes_of(x) + x.numel())


_IN_E4M3 = (
    ("llava-1.5-fp8", {"vectors": 7, "width": 40}, {"vectors": 4608, "width": 1024}),
    ("second-layer-fp8", {"vectors": 5, "width": 65}, {"vectors": 4608, "width": 4096}),
    (
        "internvl-fp8",
        {"vectors": 6, "width": 24, "segments": 4},
        {"vectors": 3328, "width": 1024, "segments": 4},
    ),
)
CASES = (
    Case(
        "internvl",
        "gather_norm",
        tiny={"images": 3, "grid": 6, "width": 24},
        real={"images": 13, "grid": 32, "width": 1024},
        build=_internvl,
    ),
    Case(
        "internvl-26b",
        "gather_norm",
        tiny={"images": 1, "grid": 4, "width": 50},
        real={"images": 13, "grid": 32, "width": 3200},
        build=_internvl,
    ),
    Case(
        "qwen2-vl",
        "gather_norm",
        tiny={"patches": 28, "width": 40},
        real={"patches": 5184, "width": 1280},
        build=_qwen,
    ),
    Case(
        "qwen2.5-vl",
        "gather_norm",
        tiny={"patches": 24, "width": 40},
        real={"patches": 5184, "width": 1280},
        build=_qwen2_5,
    ),
    Case(
        "mistral-3",
        "gather_norm",
        tiny={"grid": 6, "width": 33},
        real={"grid": 44, "width": 1024},
        build=_mistral3,
    ),
    Case(
        "gemma-3",
        "gather_norm",
        tiny={"images": 2, "grid": 8, "width": 36, "edge": 4},
        real={"images": 8, "grid": 64, "width": 1152, "edge": 4},
        build=_gemma3,
    ),
    Case(
        "qwen2-audio",
        "gather_norm",
        tiny={"clips": 3, "frames": 14, "width": 40, "kept": 5},
        real={"clips": 8, "frames": 1500, "width": 1280, "kept": 250},
        build=_qwen2_audio,
    ),
    Case(
        "llava-1.5",
        "pack_rows",
        tiny={"images": 3, "rows": 9, "width": 40},
        real={"images": 8, "rows": 576, "width": 1024},
        build=_llava,
    ),
    Case(
        "idefics3",
        "pack_rows",
        tiny={"images": 2, "grid": 6, "width": 24, "edge": 3},
        real={"images": 13, "grid": 26, "width": 1152, "edge": 2},
        build=_idefics3,
    ),
    Case(
        "smolvlm",
        "pack_rows",
        tiny={"images": 1, "grid": 8, "width": 12, "edge": 4},
        real={"images": 17, "grid": 32, "width": 768, "edge": 4},
        build=_idefics3,
    ),
    *(
        Case(name, "gather_norm", tiny, real, _rows_in_e4m3, rounds_to=torch.float8_e4m3fn)
        for name, tiny, real in _IN_E4M3
    ),
)
