"""The vision configs of published towers, so that a checkpoint with its tower inside starts where
the tower's own repository is not at hand. From those repositories' config.json."""

from __future__ import annotations

from typing import Any

__all__ = ["OWNERS", "PUBLISHED", "published_tower"]


def _clip_large(image_size: int) -> dict[str, Any]:
    return {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": image_size,
        "patch_size": 14,
        "projection_dim": 768,
    }


_SIGLIP_SO400M = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
}

_CONVLLAVA = (768, 1024, 1536)


def _convnext_large(image_size: int) -> dict[str, Any]:
    """ConvLLaVA's: CLIP's ConvNeXt-L and a fifth stage."""
    return {
        "depths": [3, 3, 27, 3, 6],
        "hidden_sizes": [192, 384, 768, 1536, 3072],
        "num_stages": 5,
        "num_hidden_layers": 1,
        "image_size": image_size,
        "patch_size": 4,
    }


# By the last part of the name: kind, vision config.
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "clip-vit-large-patch14-336": ("clip", _clip_large(336)),
    "clip-vit-large-patch14": ("clip", _clip_large(224)),
    "siglip-so400m-patch14-384": ("siglip", _SIGLIP_SO400M),
    **{f"ConvLLaVA-ConvNeXt-{size}": ("convnext", _convnext_large(size)) for size in _CONVLLAVA},
    # Without names of sizes: those of InternViT-6B are its kind's defaults.
    "InternViT-6B-224px": ("intern_vit", {"image_size": 224}),
    "InternViT-6B-448px": ("intern_vit", {"image_size": 448}),
    "InternViT-6B-448px-V1-0": ("intern_vit", {"image_size": 448}),
    "LanguageBind_Image": ("LanguageBindImage", {**_clip_large(224), "hidden_act": "gelu"}),
    "LanguageBind_Video_merge": (
        "LanguageBindVideo",
        {**_clip_large(224), "hidden_act": "gelu", "add_time_attn": True, "num_frames": 8},
    ),
    "TinyLLaVA-1.5B-SigLIP": ("siglip", _SIGLIP_SO400M),
    "TinyLLaVA-2.0B-SigLIP": ("siglip", _SIGLIP_SO400M),
    "TinyLLaVA-3.1B-SigLIP": ("siglip", _SIGLIP_SO400M),
}
# Whose repositories they are, where they are not those of the kind's first authors.
OWNERS = {
    **{f"ConvLLaVA-ConvNeXt-{size}": "ConvLLaVA" for size in _CONVLLAVA},
    "TinyLLaVA-1.5B-SigLIP": "bczhou",
    "TinyLLaVA-2.0B-SigLIP": "bczhou",
    "TinyLLaVA-3.1B-SigLIP": "bczhou",
}


def published_tower(name: str) -> tuple[str, dict[str, Any]] | None:
    """Kind and vision config of a published tower, by the last part of its name; None if unknown.

    Training scripts write their own absolute paths into configs, so only the last part counts.
    """
    return PUBLISHED.get(name.rstrip("/").rsplit("/", 1)[-1])
