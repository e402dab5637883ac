"""timm's vision transformer over a state dict, in plain torch.

From huggingface/pytorch-image-models, timm/models/vision_transformer.py, as the copies in
deepseek-ai/DeepSeek-VL and vikhyat/moondream use it.
"""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["timm_features"]

State = dict[str, torch.Tensor]


def timm_features(
    state: State,
    prefix: str,
    pixels: torch.Tensor,
    *,
    patch: int,
    heads: int = 16,
    eps: float = 1e-6,
    gelu: str = "none",
) -> torch.Tensor:
    """Features `[pictures, patches, width]` after the last norm; `gelu` is for torch."""
    own = {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, own[f"{name}.weight"], own[f"{name}.bias"])

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(
            x, x.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"], eps
        )

    pictures, _, height, width = pixels.shape
    across, down = width // patch, height // patch
    x = pixels.view(pictures, 3, down, patch, across, patch).permute(0, 2, 4, 1, 3, 5)
    x = x.reshape(pictures, down * across, 3 * patch * patch)
    name = next(key for key in own if key.startswith("patch_embed") and key.endswith("weight"))
    bias = own[name.replace("weight", "bias")]
    x = functional.linear(x, own[name].flatten(1), bias) + own["pos_embed"]
    for block in range(1 + max(int(key.split(".")[1]) for key in own if "blocks." in key)):
        q, k, v = linear(f"blocks.{block}.attn.qkv", norm(f"blocks.{block}.norm1", x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        x = x + linear(f"blocks.{block}.attn.proj", (weights @ v).transpose(1, 2).flatten(2))
        inner = linear(f"blocks.{block}.mlp.fc1", norm(f"blocks.{block}.norm2", x))
        x = x + linear(f"blocks.{block}.mlp.fc2", functional.gelu(inner, approximate=gelu))
    return norm("norm", x)
