"""The architecture: Qwen3-Omni's thinker with dense layers and without deepstack, 5.8 M parameters.

Stock vLLM 0.32 and transformers 5 both serve it as `Qwen3OmniMoeForConditionalGeneration`. Making
every layer dense takes `mlp_only_layers`; the position embedding of the vision tower takes two keys
(`image_size`, `apply_vit_abs_pos_embed`) that vLLM reads and transformers does not write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sensorium.model_adapters.demo import tokenizer as tokens
from sensorium.model_adapters.demo.sequences import POSITIONS_PER_SECOND
from sensorium.model_adapters.demo.signals import MEL_BINS

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

__all__ = ["AUDIO_WIDTH", "PIXELS", "VOCABULARY", "WIDTH", "build_model", "thinker_config"]

VOCABULARY: Final = 900
WIDTH: Final = 192
AUDIO_WIDTH: Final = 160
LAYERS: Final = 4
HEAD: Final = 32
HIDDEN: Final = 576
GRID_SIDE: Final = 16
PIXELS: Final = (16384, 30720)
"""Least and most pixels of a picture or frame after the processor's resize."""


def _text_config(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": WIDTH // HEAD,
        "num_key_value_heads": WIDTH // HEAD,
        "head_dim": HEAD,
        "max_position_embeddings": 4096,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [4, 6, 6],
            "mrope_interleaved": True,
        },
        "tie_word_embeddings": True,
        # The layout is a mixture of experts; these make every layer an ordinary one.
        "mlp_only_layers": list(range(LAYERS)),
        "num_experts": 2,
        "num_experts_per_tok": 1,
        "moe_intermediate_size": 64,
        "decoder_sparse_step": 1,
        "eos_token_id": tokens.TURN_END,
        "pad_token_id": tokens.PAD,
    }


def _vision_config() -> dict[str, Any]:
    return {
        "depth": LAYERS,
        "hidden_size": WIDTH,
        "out_hidden_size": WIDTH,
        "num_heads": WIDTH // HEAD,
        "intermediate_size": HIDDEN,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": GRID_SIDE**2,
        "deepstack_visual_indexes": [],
    }


def _audio_config() -> dict[str, Any]:
    return {
        "num_mel_bins": MEL_BINS,
        "encoder_layers": LAYERS,
        "encoder_attention_heads": AUDIO_WIDTH // HEAD,
        "encoder_ffn_dim": 448,
        "d_model": AUDIO_WIDTH,
        "n_window": 50,
        "n_window_infer": 400,
        "output_dim": WIDTH,
        "downsample_hidden_size": 48,
    }


def thinker_config(vocabulary: int = VOCABULARY) -> Any:
    """transformers' configuration object of the model."""
    from transformers import Qwen3OmniMoeThinkerConfig

    return Qwen3OmniMoeThinkerConfig(
        text_config=_text_config(vocabulary),
        vision_config=_vision_config(),
        audio_config=_audio_config(),
        image_token_id=tokens.IMAGE,
        video_token_id=tokens.VIDEO,
        audio_token_id=tokens.AUDIO,
        audio_start_token_id=tokens.AUDIO_START,
        vision_start_token_id=tokens.VISION_START,
        vision_end_token_id=tokens.VISION_END,
        position_id_per_seconds=POSITIONS_PER_SECOND,
        tie_word_embeddings=True,
        pad_token_id=tokens.PAD,
    )


def _loud_positions() -> torch.Tensor:
    """2-D sinusoids, (256, WIDTH), as loud as the patches: the usual 0.02 is never heard."""
    import torch

    steps = torch.arange(GRID_SIDE).float()
    quarter = WIDTH // 4
    waves = steps[:, None] / 30.0 ** (torch.arange(quarter).float() / quarter)
    axis = torch.cat([waves.sin(), waves.cos()], 1)
    rows = axis[:, None].expand(GRID_SIDE, GRID_SIDE, WIDTH // 2)
    columns = axis[None].expand(GRID_SIDE, GRID_SIDE, WIDTH // 2)
    grid = torch.cat([rows, columns], -1).reshape(GRID_SIDE**2, WIDTH)
    return grid / grid.pow(2).mean().sqrt() * 3.0


def build_model(weights: dict[str, torch.Tensor] | None = None) -> Any:
    """transformers' thinker in float32 with `weights` (names without prefix), or fresh ones."""
    import torch
    from transformers import Qwen3OmniMoeThinkerForConditionalGeneration

    model = Qwen3OmniMoeThinkerForConditionalGeneration(thinker_config()).float()
    model.set_attn_implementation("sdpa")
    with torch.no_grad():
        if weights is None:
            model.visual.pos_embed.weight.copy_(_loud_positions())
        else:
            missing, unexpected = model.load_state_dict(weights, strict=False)
            wrong = [*unexpected, *(name for name in missing if name != "lm_head.weight")]
            if wrong:
                raise ValueError(f"the weights do not fit this architecture: {', '.join(wrong)}")
    model.tie_weights()
    return model


def word_ids(tokenizer: Tokenizer, words: tuple[str, ...]) -> list[int]:
    """The token of each word that is one token, else -1."""
    encoded = [tokenizer.encode(word).ids for word in words]
    return [ids[0] if len(ids) == 1 else -1 for ids in encoded]
