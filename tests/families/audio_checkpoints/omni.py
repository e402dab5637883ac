"""The thinkers of Qwen2.5-Omni and Qwen3-Omni, as they stand in the published checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.families.audio_checkpoints.parts import CHAT_ML, TEXT, ids, save_model, tokenizer
from tests.families.tiny import save_safetensors

if TYPE_CHECKING:
    import torch

__all__ = ["qwen2_5_omni", "qwen3_omni"]

# The published templates, without tools, pictures and videos.
TEMPLATE = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ m['role'] }}\n"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}"
    "{% else %}MARK{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ROLES = ("audio", "image", "video", "audio_bos", "audio_eos", "vision_bos", "vision_eos")
AUDIO = {
    "d_model": 64,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 96,
    "output_dim": TEXT["hidden_size"],
}
VISION = {
    "depth": 1,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_heads": 2,
    "out_hidden_size": TEXT["hidden_size"],
}
ROPE = {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 10_000.0}


def qwen2_5_omni(folder: Path) -> None:
    """Qwen2.5-Omni without talker; its processor takes 300 s, as the published one."""
    from transformers import Qwen2_5OmniConfig

    names = ("<|AUDIO|>", "<|IMAGE|>", "<|VIDEO|>", "<|audio_bos|>", "<|audio_eos|>")
    words = _words(folder, (*names, "<|vision_bos|>", "<|vision_eos|>"))
    audio, image, video, start, end = ids(words, *names)
    config = Qwen2_5OmniConfig(
        thinker_config={
            "audio_config": AUDIO,
            "vision_config": {**VISION, "fullatt_block_indexes": [0]},
            "text_config": {**TEXT, "rope_parameters": ROPE, "tie_word_embeddings": False},
            "audio_token_index": audio,
            "image_token_index": image,
            "video_token_index": video,
            "audio_start_token_id": start,
            "audio_end_token_id": end,
            **_vision_marks(words),
        },
        enable_audio_output=False,
        architectures=["Qwen2_5OmniModel"],
    )
    kind = "Qwen2_5OmniThinkerForConditionalGeneration"
    save_model(folder, kind, config.thinker_config, 41, {"": "thinker."})
    config.save_pretrained(folder)
    _processor("Qwen2_5OmniProcessor", words, 300).save_pretrained(folder)


def qwen3_omni(folder: Path) -> None:
    """Qwen3-Omni without talker: four experts a layer, each in tensors of its own as published."""
    from transformers import Qwen3OmniMoeConfig

    names = ("<|audio_pad|>", "<|image_pad|>", "<|video_pad|>", "<|audio_start|>", "<|audio_end|>")
    words = _words(folder, (*names, "<|vision_start|>", "<|vision_end|>"))
    audio, image, video, start, end = ids(words, *names)
    text = {
        **TEXT,
        "head_dim": 32,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 64,
        "tie_word_embeddings": False,
        "rope_parameters": {**ROPE, "mrope_interleaved": True},
    }
    # vLLM reads the last two of the vision config, and transformers does not write them.
    vision = {"num_position_embeddings": 16, "image_size": 64, "apply_vit_abs_pos_embed": True}
    config = Qwen3OmniMoeConfig(
        thinker_config={
            "audio_config": {**AUDIO, "downsample_hidden_size": 16},
            "vision_config": {**VISION, **vision, "deepstack_visual_indexes": [0]},
            "text_config": text,
            "audio_token_id": audio,
            "image_token_id": image,
            "video_token_id": video,
            "audio_start_token_id": start,
            "audio_end_token_id": end,
            **_vision_marks(words),
        },
        enable_audio_output=False,
        architectures=["Qwen3OmniMoeForConditionalGeneration"],
    )
    kind = "Qwen3OmniMoeThinkerForConditionalGeneration"
    state = save_model(folder, kind, config.thinker_config, 43, {"": "thinker."})
    save_safetensors(folder, _expert_by_expert(state))
    config.save_pretrained(folder)
    _processor("Qwen3OmniMoeProcessor", words, 30).save_pretrained(folder)


def _words(folder: Path, names: tuple[str, ...]) -> Any:
    """A tokenizer whose special tokens `names` have the roles that Omni processors ask for."""
    roles = {f"{role}_token": name for role, name in zip(ROLES, names, strict=True)}
    words = tokenizer(folder, *CHAT_ML, **roles)
    words.chat_template = TEMPLATE.replace("MARK", names[3] + names[0] + names[4])
    return words


def _vision_marks(words: Any) -> dict[str, int]:
    start, end = ids(words, words.vision_bos_token, words.vision_eos_token)
    return {"vision_start_token_id": start, "vision_end_token_id": end}


def _processor(kind: str, words: Any, seconds: int) -> Any:
    import transformers

    pixels = {"shortest_edge": 4 * 28 * 28, "longest_edge": 16 * 28 * 28}
    return getattr(transformers, kind)(
        transformers.Qwen2VLImageProcessor(size=pixels),
        transformers.Qwen2VLVideoProcessor(size=pixels),
        transformers.WhisperFeatureExtractor(feature_size=128, chunk_length=seconds),
        words,
        chat_template=words.chat_template,
    )


def _expert_by_expert(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = {}
    for name, value in state.items():
        start, experts, part = name.partition(".experts.")
        if not experts:
            found[name] = value
            continue
        for number, matrix in enumerate(value):
            halves = matrix.chunk(2) if part == "gate_up_proj" else (matrix,)
            kinds = ("gate_proj", "up_proj") if part == "gate_up_proj" else (part,)
            for kind, half in zip(kinds, halves, strict=True):
                found[f"{start}.experts.{number}.{kind}.weight"] = half
    return found
