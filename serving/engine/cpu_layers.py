"""Layers of vLLM 0.32 that its CPU build computes with many small operators, by one of its own.

The CPU build has kernels for RMSNorm and for rotary positions (`csrc/cpu/layernorm.cpp` and
`csrc/cpu/pos_encoding.cpp`), but its layers do not use the first at all, and the second only for
language models whose positions have one axis. Without compilation both were a quarter of a small
model's step. Models that are compiled take neither path: there the compiler fuses what is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["use_cpu_kernels"]

# The norm's kernel reads whole vectors of eight elements.
_VECTOR = 8
# Counts of rows up to this, as of steps without a prompt, are few.
_ROWS = 32
_MOST_ROWS = 512
_SMALL_WEIGHT = 1 << 20
_ANGLES = "_sensorium_angles"


def use_cpu_kernels() -> bool:
    """Let the layers of this process use the kernels; False where vLLM does not run on a CPU."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return False
    current_platform.import_kernels()
    import torch

    if not all(hasattr(torch.ops._C, name) for name in ("rms_norm", "rotary_embedding")):
        return False
    from vllm import _custom_ops
    from vllm.model_executor.layers.layernorm import RMSNorm
    from vllm.model_executor.layers.rotary_embedding.common import ApplyRotaryEmb
    from vllm.model_executor.layers.rotary_embedding.mrope import MRotaryEmbedding

    _custom_ops.onednn_mm = _matrix_product
    RMSNorm.forward_cpu = _norm
    MRotaryEmbedding.forward_cpu = _rotate
    ApplyRotaryEmb.forward_cpu = _rotate_heads
    return True


def _matrix_product(handler: Any, x: Tensor, bias: Tensor | None) -> Tensor:
    """As `vllm._custom_ops.onednn_mm`, with rows added up to a count that oneDNN has seen before.

    It makes machine code for each count of rows, half a millisecond for each shape of a weight, and
    prompts make the count of nearly every step another. For large weights that is nothing.
    """
    import torch

    rows = x.reshape(-1, handler.k)
    count = rows.shape[0]
    small = _ROWS < count <= _MOST_ROWS and handler.k * handler.n <= _SMALL_WEIGHT
    # At most a sixteenth more, in sixteen sizes from each power of two to the next.
    spare = -count % (1 << (count.bit_length() - 5)) if small else 0
    if spare:
        rows = torch.nn.functional.pad(rows, (0, 0, 0, spare))
    product = torch.empty((count + spare, handler.n), dtype=x.dtype)
    torch.ops._C.onednn_mm(product, rows, bias, handler.handler_tensor)
    return product[:count].view(*x.shape[:-1], handler.n)


def _norm(layer: Any, x: Tensor, residual: Tensor | None = None) -> Any:
    """As `RMSNorm.forward_native`; with `residual` both are written in place, as on a GPU."""
    import torch

    weight = layer.weight
    fits = (
        layer.has_weight
        and layer.variance_size_override is None
        and weight.dtype == x.dtype
        and x.shape[-1] % _VECTOR == 0
    )
    if residual is not None:
        fits = fits and x.is_contiguous() and residual.is_contiguous()
    if not fits:
        return layer.forward_native(x, residual)
    if residual is not None:
        torch.ops._C.fused_add_rms_norm(x, residual, weight, layer.variance_epsilon)
        return x, residual
    x = x.contiguous()
    normed = torch.empty_like(x)
    torch.ops._C.rms_norm(normed, x, weight, layer.variance_epsilon)
    return normed


def _rotate(
    layer: Any,
    positions: Tensor,
    query: Tensor,
    key: Tensor | None = None,
    offsets: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """As `MRotaryEmbedding.forward_native`, in place; angles are looked up once a forward pass."""
    import torch
    from vllm.model_executor.layers.rotary_embedding.mrope import MRotaryEmbedding

    if type(layer) is not MRotaryEmbedding or key is None or offsets is not None:
        rotated: tuple[Tensor, Tensor | None]
        rotated = layer.forward_native(positions, query, key, offsets)
        return rotated
    rows, angles = _angles(layer, positions, layer._match_cos_sin_cache_dtype(query))
    torch.ops._C.rotary_embedding(rows, query, key, layer.head_size, angles, layer.is_neox_style)
    return query, key


def _rotate_heads(layer: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """As `ApplyRotaryEmb.forward_native`, which vision towers use.

    `x`: `[images, rows, heads, n]` or without the first; `cos` and `sin`: `[rows, n / 2]`.
    """
    import torch

    rows, half = cos.shape
    fits = x.shape[-1] == 2 * half and x.shape[-3] == rows and cos.ndim == 2
    if not fits or (layer.enable_fp32_compute and x.dtype != torch.float32):
        plain: Tensor = layer.forward_native(x, cos, sin)
        return plain
    rotated = x.clone(memory_format=torch.contiguous_format)
    table = torch.cat((cos, sin), dim=-1).to(x.dtype)
    heads = rotated.view(-1, x.shape[-2] * x.shape[-1])
    at = torch.arange(rows).repeat(heads.shape[0] // rows if rows else 1)
    torch.ops._C.rotary_embedding(at, heads, None, 2 * half, table, layer.is_neox_style)
    return rotated


def _angles(layer: Any, positions: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Row numbers, and the cosines and sines that they point to: `[rows, rotary_dim]`.

    Every layer of a model asks the same object for the same tensor of positions. That tensor is
    held, so that no other can be taken for it, and the forward pass too, since a buffer of
    positions may be filled anew for the next.
    """
    import torch
    from vllm.forward_context import get_forward_context, is_forward_context_available

    if positions.ndim == 1:
        return positions, table
    forward = get_forward_context() if is_forward_context_available() else None
    held = layer.__dict__.get(_ANGLES)
    if held and forward is not None and held[0] is positions and held[1] is forward:
        return held[2], held[3]
    cosines, sines = table[positions].chunk(2, dim=-1)
    angles = torch.cat((_one_axis(layer, cosines), _one_axis(layer, sines)), dim=-1)
    rows = torch.arange(positions.shape[-1])
    layer.__dict__[_ANGLES] = (positions, forward, rows, angles)
    return rows, angles


def _one_axis(layer: Any, values: Tensor) -> Tensor:
    """From values for each of the three axes, `[3, tokens, n]`, to `[tokens, n]` of the model."""
    import torch
    from vllm.model_executor.layers.rotary_embedding.mrope import apply_interleaved_rope

    if layer.mrope_interleaved:
        mixed: Tensor = apply_interleaved_rope(values, layer.mrope_section)
        return mixed
    parts = values.split(layer.mrope_section, dim=-1)
    return torch.cat([part[axis] for axis, part in enumerate(parts)], dim=-1)
