"""The tensors that a model needs from a checkpoint, by checkpoint name, each with its shape.

vLLM stacks projections (`q_proj`, `k_proj`, `v_proj` in one `qkv_proj`), splits them among ranks
and pads vocabularies; what it takes from a checkpoint are the whole, single tensors listed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn
from vllm.model_executor.layers.linear import (
    LinearBase,
    MergedColumnParallelLinear,
    QKVParallelLinear,
)
from vllm.model_executor.layers.vocab_parallel_embedding import (
    ParallelLMHead,
    VocabParallelEmbedding,
)
from vllm.model_executor.models.transformers.causal import CausalMixin

__all__ = ["Shape", "expected_tensors"]

# None where a tensor's whole shape cannot be told, as for quantised weights.
Shape = tuple[int, ...] | None
_PACKED = {"qkv_proj": ["q_proj", "k_proj", "v_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}


def expected_tensors(model: nn.Module, *, aliases: bool) -> dict[str, Shape]:
    """Names and shapes; with `aliases`, whatever is taken, not only what has to be there.

    That is tied parameters under all their names, and the biases of heads that have none yet.
    """
    packed = {"": _PACKED}
    found: dict[str, Shape] = {}
    for prefix, module in model.named_modules():
        # A part's own mapping holds for what is below it: phi-3 stacks in its checkpoints already.
        packed[prefix] = {
            **packed[prefix.rpartition(".")[0]],
            **(getattr(module, "packed_modules_mapping", None) or {}),
        }
        for name, parameter in module.named_parameters(recurse=False):
            found.update(_expand(prefix, module, name, parameter, packed[prefix]))
    if aliases:
        found.update(_head_biases(model))
    else:
        for name in _tied_names(model):
            found.pop(name, None)
    return found


def _head_biases(model: nn.Module) -> Iterator[tuple[str, Shape]]:
    """Biases that vLLM's transformers backend makes when a checkpoint holds them, as phi's."""
    for prefix, module in model.named_modules():
        head = getattr(module, "lm_head", None)
        if isinstance(module, CausalMixin) and isinstance(head, ParallelLMHead):
            yield f"{prefix}.lm_head.bias".lstrip("."), (head.org_vocab_size,)


def _tied_names(model: nn.Module) -> set[str]:
    """All names but the first of parameters that modules share."""
    first = dict(model.named_parameters())
    return {name for name, _ in model.named_parameters(remove_duplicate=False)} - first.keys()


def _expand(
    prefix: str,
    module: nn.Module,
    name: str,
    parameter: torch.Tensor,
    packed: Mapping[str, list[str]],
) -> Iterator[tuple[str, Shape]]:
    parent, _, leaf = prefix.rpartition(".")
    parts = packed.get(leaf, [leaf])
    if not isinstance(module, LinearBase) or len(parts) == 1:
        yield f"{prefix}.{name}".lstrip("."), _whole_shape(module, name, parameter)
        return
    for part, rows in zip(parts, _rows(module, len(parts)), strict=True):
        shape: Shape = None
        if rows is not None and name == "weight":
            shape = (rows, module.input_size)
        elif rows is not None and name == "bias":
            shape = (rows,)
        yield f"{parent}.{part}.{name}".lstrip("."), shape


def _rows(module: LinearBase, parts: int) -> list[int | None]:
    if isinstance(module, QKVParallelLinear) and parts == 3:
        keys = module.total_num_kv_heads * module.head_size
        values = module.total_num_kv_heads * getattr(module, "v_head_size", module.head_size)
        return [module.total_num_heads * module.head_size, keys, values]
    if isinstance(module, MergedColumnParallelLinear) and len(module.output_sizes) == parts:
        return list(module.output_sizes)
    return [None] * parts


def _whole_shape(module: nn.Module, name: str, parameter: torch.Tensor) -> Shape:
    if isinstance(module, VocabParallelEmbedding):
        rows = module.org_vocab_size
        return (rows, module.embedding_dim) if name == "weight" else (rows,)
    if isinstance(module, LinearBase):
        if name == "weight":
            return (module.output_size, module.input_size)
        return (module.output_size,) if name == "bias" else None
    return tuple(parameter.shape)
