"""Shapes of SigLIP's tensors under timm's names."""

from __future__ import annotations

__all__ = ["timm_shapes"]


def timm_shapes(
    prefix: str,
    *,
    grid: int,
    patch: int,
    width: int = 64,
    inner: int = 96,
    depth: int = 2,
    linear: bool = False,
) -> dict[str, tuple[int, ...]]:
    """Names and shapes; `linear` for moondream's patches."""
    embed = "patch_embed.linear" if linear else "patch_embed.proj"
    patches = (width, 3 * patch**2) if linear else (width, 3, patch, patch)
    shapes = {
        f"{embed}.weight": patches,
        f"{embed}.bias": (width,),
        "pos_embed": (1, grid**2, width),
    }
    for block in range(depth):
        name = f"blocks.{block}"
        linears = {
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "mlp.fc1": (inner, width),
            "mlp.fc2": (width, inner),
        }
        for part, shape in linears.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        for norm in ("norm1", "norm2"):
            shapes |= {f"{name}.{norm}.weight": (width,), f"{name}.{norm}.bias": (width,)}
    shapes |= {"norm.weight": (width,), "norm.bias": (width,)}
    return {f"{prefix}{name}": shape for name, shape in shapes.items()}
