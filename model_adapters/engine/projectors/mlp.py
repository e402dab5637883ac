"""Linear layers with GELU between them, under the names of `torch.nn.Sequential`."""

from __future__ import annotations

from torch import nn

from sensorium.model_adapters.projector_types import ProjectorType

__all__ = ["linear", "mlp"]


def linear(kind: ProjectorType, width: int, out: int) -> nn.Module:
    """One linear layer."""
    return nn.Linear(width, out)


def mlp(kind: ProjectorType, width: int, out: int) -> nn.Module:
    """`kind.depth` linear layers; `mlp_norm` has a layer norm after each (Yi-VL)."""
    layers: list[nn.Module] = []
    for depth in range(kind.depth):
        layers += [nn.GELU()] if depth else []
        layers += [nn.Linear(out if depth else width, out)]
        layers += [nn.LayerNorm(out)] if kind.kind == "mlp_norm" else []
    return nn.Sequential(*layers)
