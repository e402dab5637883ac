"""MiniCPM-o 2.6 without eyes and voice; its configuration and processors are remote code."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.families.audio_checkpoints.parts import CHAT_ML, TEXT, tokenizer
from tests.families.tiny import draw_shapes, draw_weights, save_safetensors, write_json

__all__ = ["CODE", "build"]

CODE = Path(__file__).with_name("remote_code") / "minicpmo"
# Qwen2.5's, which takes a turn's content as text.
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ROLES = {
    "im_start": "<image>",
    "im_end": "</image>",
    "slice_start": "<slice>",
    "slice_end": "</slice>",
    "audio_start": "<audio>",
    "audio_end": "</audio>",
    "spk_start": "<|spk_bos|>",
    "spk_end": "<|spk_eos|>",
}
AUDIO = {
    "d_model": 64,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 4 * 64,
    "num_mel_bins": 80,
}


def build(folder: Path) -> None:
    """The ears are a Whisper encoder, of which the projector sees a second's frames by pairs."""
    from transformers import Qwen2Config, Qwen2ForCausalLM, WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    words = tokenizer(folder, "<unk>", *CHAT_ML, **ROLES)
    words.chat_template = TEMPLATE
    words.save_pretrained(folder)
    text = {**TEXT, "tie_word_embeddings": False}
    hidden, width = TEXT["hidden_size"], AUDIO["d_model"]
    shapes = {
        "linear1.weight": (hidden, width),
        "linear1.bias": (hidden,),
        "linear2.weight": (hidden, hidden),
        "linear2.bias": (hidden,),
    }
    parts = {
        "llm.": draw_weights(Qwen2ForCausalLM(Qwen2Config(**text)), 91),
        "apm.": draw_weights(WhisperEncoder(WhisperConfig(**AUDIO)), 92),
        "audio_projection_layer.": draw_shapes(shapes, 93),
    }
    state = {start + name: value for start, part in parts.items() for name, value in part.items()}
    save_safetensors(folder, state)
    _write_configs(folder, text)
    for file in CODE.glob("*.py"):
        shutil.copy(file, folder)


def _write_configs(folder: Path, text: dict[str, object]) -> None:
    config = {
        **text,
        "architectures": ["MiniCPMO"],
        "model_type": "minicpmo",
        "version": "2.6",
        "auto_map": {"AutoConfig": "configuration_minicpm.MiniCPMOConfig"},
        "audio_config": AUDIO,
        "audio_pool_step": 2,
        "audio_chunk_length": 1.0,
        "vision_config": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
        "drop_vision_last_layer": False,
        "query_num": 64,
        "image_size": 448,
        "torch_dtype": "float32",
    }
    write_json(folder / "config.json", config)
    whisper = {"feature_size": AUDIO["num_mel_bins"], "sampling_rate": 16_000}
    preprocessor = {
        "auto_map": {
            "AutoImageProcessor": "processing_minicpmo.MiniCPMVImageProcessor",
            "AutoProcessor": "processing_minicpmo.MiniCPMOProcessor",
        },
        "image_processor_type": "MiniCPMVImageProcessor",
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "MiniCPMOProcessor",
        **whisper,
    }
    write_json(folder / "preprocessor_config.json", preprocessor)
