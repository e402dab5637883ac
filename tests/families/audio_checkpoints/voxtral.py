"""Voxtral in Mistral's layout, and the same model as transformers' class has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.families.audio_checkpoints.parts import TEXT
from tests.families.tiny import draw_weights, write_json

if TYPE_CHECKING:
    import torch

__all__ = ["build", "write_tokenizer"]

SPECIAL = 100
WIDTH = 64
ENCODER = "mm_whisper_embeddings.whisper_encoder."
# transformers' names and Mistral's, the first that is found in a name counts.
LANGUAGE = (
    ("model.language_model.embed_tokens", "mm_whisper_embeddings.tok_embeddings"),
    ("model.language_model.norm", "norm"),
    ("model.language_model.layers", "layers"),
    ("lm_head", "output"),
    ("self_attn.q_proj", "attention.wq"),
    ("self_attn.k_proj", "attention.wk"),
    ("self_attn.v_proj", "attention.wv"),
    ("self_attn.o_proj", "attention.wo"),
    ("mlp.gate_proj", "feed_forward.w1"),
    ("mlp.down_proj", "feed_forward.w2"),
    ("mlp.up_proj", "feed_forward.w3"),
    ("post_attention_layernorm", "ffn_norm"),
    ("input_layernorm", "attention_norm"),
)
AUDIO = (
    ("model.audio_tower.conv1", ENCODER + "conv_layers.0"),
    ("model.audio_tower.conv2", ENCODER + "conv_layers.1"),
    ("model.audio_tower.layer_norm", ENCODER + "transformer.norm"),
    ("model.audio_tower.layers", ENCODER + "transformer.layers"),
    ("model.multi_modal_projector.linear_1", "mm_whisper_embeddings.audio_language_projection.0"),
    ("model.multi_modal_projector.linear_2", "mm_whisper_embeddings.audio_language_projection.2"),
    ("self_attn_layer_norm", "attention_norm"),
    ("self_attn.q_proj", "attention.wq"),
    ("self_attn.k_proj", "attention.wk"),
    ("self_attn.v_proj", "attention.wv"),
    ("self_attn.out_proj", "attention.wo"),
    ("final_layer_norm", "ffn_norm"),
    ("fc1", "feed_forward.w1"),
    ("fc2", "feed_forward.w2"),
)


def build(folder: Path) -> None:
    """The state of transformers' class is left in `transformers/`, for the reference."""
    import torch
    from safetensors.torch import save_file
    from transformers import VoxtralConfig, VoxtralForConditionalGeneration
    from transformers.models.whisper.modeling_whisper import sinusoids

    theirs = folder / "transformers"
    theirs.mkdir(parents=True)
    config = VoxtralConfig(
        audio_config={
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_mel_bins": 128,
        },
        text_config={"model_type": "llama", **TEXT, "head_dim": 32, "rms_norm_eps": 1e-5},
        audio_token_id=24,
        projector_hidden_act="gelu",
        tie_word_embeddings=False,
    )
    model = VoxtralForConditionalGeneration(config)
    state = draw_weights(model, 61)
    state["model.audio_tower.embed_positions.weight"] = sinusoids(1500, WIDTH)
    config.save_pretrained(theirs)
    torch.save(state, theirs / "state.pt")
    write_tokenizer(folder)
    write_json(folder / "params.json", _params())
    found = {}
    for name, value in state.items():
        if "embed_positions" not in name:  # Mistral's code computes them
            found[_mistral_name(name)] = _mistral_order(name, value).contiguous()
    save_file(found, folder / "consolidated.safetensors")


def _mistral_name(name: str) -> str:
    audio = name.startswith(("model.audio_tower", "model.multi_modal_projector"))
    for ours, mistrals in AUDIO if audio else LANGUAGE:
        name = name.replace(ours, mistrals)
    return name


def _mistral_order(name: str, value: torch.Tensor) -> torch.Tensor:
    """Rotary pairs lie side by side in Mistral's matrices, in two halves in transformers'."""
    if "language_model" not in name or not name.endswith(("q_proj.weight", "k_proj.weight")):
        return value
    return value.view(-1, 2, 16, value.shape[1]).transpose(1, 2).reshape(value.shape)


def _params() -> dict[str, Any]:
    encoding = {
        "sampling_rate": 16_000,
        "frame_rate": 12.5,
        "num_mel_bins": 128,
        "hop_length": 160,
        "window_size": 400,
        "chunk_length_s": 30.0,
    }
    encoder = {
        "audio_encoding_args": encoding,
        "dim": WIDTH,
        "n_layers": 2,
        "head_dim": 32,
        "hidden_dim": 4 * WIDTH,
        "n_heads": 2,
        "vocab_size": 51866,
        "max_source_positions": 1500,
    }
    return {
        "dim": TEXT["hidden_size"],
        "n_layers": TEXT["num_hidden_layers"],
        "head_dim": 32,
        "hidden_dim": TEXT["intermediate_size"],
        "n_heads": TEXT["num_attention_heads"],
        "n_kv_heads": TEXT["num_key_value_heads"],
        "vocab_size": TEXT["vocab_size"],
        "rope_theta": 100_000_000.0,
        "norm_eps": 1e-5,
        "max_position_embeddings": TEXT["max_position_embeddings"],
        "max_seq_len": TEXT["max_position_embeddings"],
        "multimodal": {
            "whisper_model_args": {
                "encoder_args": encoder,
                "downsample_args": {"downsample_factor": 4},
            }
        },
    }


def write_tokenizer(folder: Path) -> None:
    """The first words of the tokenizer that comes with mistral-common."""
    import mistral_common

    whole = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"
    content = json.loads(whole.read_text(encoding="utf-8"))
    plain = TEXT["vocab_size"] - SPECIAL
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]"]
    names += ["[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]"]
    names += ["<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]"]
    names += ["[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"]
    names += [f"<SPECIAL_{number}>" for number in range(20, 24)] + ["[AUDIO]", "[BEGIN_AUDIO]"]
    names += [f"<SPECIAL_{number}>" for number in range(26, 34)] + ["[TRANSCRIBE]"]
    config = {
        **content["config"],
        "num_vocab_tokens": plain,
        "default_vocab_size": TEXT["vocab_size"],
        "default_num_special_tokens": SPECIAL,
        "version": "v7",
    }
    audio = {
        "sampling_rate": 16_000,
        "frame_rate": 12.5,
        "audio_encoding_config": {"num_mel_bins": 128, "hop_length": 160, "window_size": 400},
        "chunk_length_s": 30.0,
    }
    special = [
        {"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(names)
    ]
    found = {"config": config, "vocab": content["vocab"][:plain], "special_tokens": special}
    write_json(folder / "tekken.json", {**found, "audio": audio})
