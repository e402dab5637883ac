"""Phi-4-multimodal in its authors' layout, without eyes; its configuration and processors are
remote code, and its weights those of transformers' class under the authors' names.

The names and settings are from huggingface/transformers,
models/phi4_multimodal/convert_phi4_multimodal_weights_to_hf.py.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.families.audio_checkpoints.parts import TEXT
from tests.families.tiny import draw, draw_weights, qwen_tokenizer, save_safetensors, write_json

if TYPE_CHECKING:
    import torch

__all__ = ["CODE", "build", "theirs"]

CODE = Path(__file__).with_name("remote_code") / "phi4mm"
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# The engine knows the places of sounds by this number.
SOUND = 200_011
SPECIAL = ("<|endoftext10|>", "<|endoftext11|>", "<|user|>", "<|end|>", "<|assistant|>")
LANGUAGE = {
    **TEXT,
    "vocab_size": 200_064,
    "hidden_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "partial_rotary_factor": 0.75,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}
WIDTH, BLOCKS, RANK = 64, 2, 4
EARS = "model.embed_tokens_extend.audio_embed."
# transformers' names and the authors', as patterns.
NAMES = (
    (r"feed_forward_(in|out)\.gate_up_proj", r"feed_forward_\1.net.0.linear"),
    (r"feed_forward_(in|out)\.down_proj", r"feed_forward_\1.net.2"),
    (r"self_attn\.(q|k|v)_proj", r"self_attn.linear_\1"),
    (r"self_attn\.o_proj", "self_attn.linear_out"),
    (r"up_proj_for_speech", "audio_projection.speech.0"),
    (r"down_proj_for_speech", "audio_projection.speech.2"),
    (r"up_proj_for_vision_speech", "audio_projection.vision.0"),
    (r"down_proj_for_vision_speech", "audio_projection.vision.2"),
)
ADAPTED = re.compile(r"layers\.\d+\.(self_attn|mlp)\.(\w+)\.weight")


def theirs() -> Any:
    """The model as transformers has it, with no weights of its own yet."""
    from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

    config = Phi4MultimodalConfig(
        **LANGUAGE,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        audio_config={
            "hidden_size": WIDTH,
            "intermediate_size": 96,
            "num_blocks": BLOCKS,
            "num_attention_heads": 2,
            "ext_pw_out_channel": WIDTH,
            "depthwise_separable_out_channel": WIDTH,
            "nemo_conv_channels": 32,
            "bias_max_distance": 500,
            "audio_token_id": SOUND,
        },
        vision_config={"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
        attn_implementation="eager",
    )
    return Phi4MultimodalForCausalLM(config).eval()


def build(folder: Path) -> None:
    """The state of transformers' class is left in `transformers.pt`, for the reference."""
    import torch

    state = {
        name: value
        for name, value in draw_weights(theirs(), 95).items()
        if "image_embed" not in name and name != "lm_head.weight"  # it is tied
    }
    folder.mkdir(parents=True)
    torch.save(state, folder / "transformers.pt")
    published: dict[str, torch.Tensor] = {}
    for number, (name, value) in enumerate(state.items()):
        published |= _published(name, value, number)
    save_safetensors(folder, published)
    _write_tokenizer(folder)
    _write_configs(folder)
    for file in CODE.glob("*.py"):
        shutil.copy(file, folder)


def _published(name: str, value: torch.Tensor, number: int) -> dict[str, torch.Tensor]:
    """A tensor under the authors' name, with the adapters for sounds beside it where it has any."""
    if name.startswith(EARS):
        for pattern, ours in NAMES:
            name = re.sub(pattern, ours, name)
        return {name: value}
    if not ADAPTED.search(name):
        return {name: value}
    start = name.removesuffix("weight")
    return {
        f"{start}base_layer.weight": value,
        f"{start}lora_A.speech.weight": draw((RANK, value.shape[1]), 500 + number, 0.1),
        f"{start}lora_B.speech.weight": draw((value.shape[0], RANK), 700 + number, 0.1),
    }


def _write_tokenizer(folder: Path) -> None:
    from transformers import AutoTokenizer

    qwen_tokenizer(folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    first = SOUND - SPECIAL.index("<|endoftext11|>")
    vocabulary.update({f"filler {at}": at for at in range(len(vocabulary), first)})
    path.write_text(json.dumps(content), encoding="utf-8")
    words = AutoTokenizer.from_pretrained(folder)
    words.add_special_tokens({"additional_special_tokens": [*SPECIAL]})
    words.chat_template = TEMPLATE
    words.save_pretrained(folder)


def _write_configs(folder: Path) -> None:
    encoder = {
        "activation": "swish",
        "attention_dim": WIDTH,
        "attention_heads": 2,
        "batch_norm": False,
        "bias_in_glu": True,
        "causal": True,
        "chunk_size": -1,
        "cnn_layer_norm": True,
        "conv_activation": "swish",
        "conv_glu_type": "swish",
        "depthwise_multiplier": 1,
        "depthwise_seperable_out_channel": WIDTH,
        "dropout_rate": 0.0,
        "encoder_embedding_config": {"input_size": 80},
        "ext_pw_kernel_size": 1,
        "ext_pw_out_channel": WIDTH,
        "input_layer": "nemo_conv",
        "input_size": 80,
        "kernel_size": 3,
        "left_chunk": 18,
        "linear_units": 96,
        "nemo_conv_settings": {"conv_channels": 32},
        "num_blocks": BLOCKS,
        "relative_attention_bias_args": {"t5_bias_max_distance": 500, "type": "t5"},
        "time_reduction": 8,
    }
    audio = {"compression_rate": 8, "downsample_rate": 1, "projection_cls": "mlp"}
    image = {"crop_size": 448, "projection_cls": "mlp", "hd_transform_order": "sub_glb"}
    code = {
        "AutoProcessor": "processing_phi4mm.Phi4MMProcessor",
        "AutoFeatureExtractor": "processing_phi4mm.Phi4MMAudioFeatureExtractor",
        "AutoImageProcessor": "processing_phi4mm.Phi4MMImageProcessor",
    }
    config = {
        **LANGUAGE,
        "architectures": ["Phi4MMForCausalLM"],
        "model_type": "phi4mm",
        "auto_map": {"AutoConfig": "configuration_phi4mm.Phi4MMConfig"},
        "audio_processor": {"name": "cascades", "config": encoder},
        "embd_layer": {
            "embedding_cls": "image_audio",
            "audio_embd_layer": {**audio, "embedding_cls": "audio"},
            "image_embd_layer": {**image, "embedding_cls": "tune_image"},
        },
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "original_max_position_embeddings": TEXT["max_position_embeddings"],
        "torch_dtype": "float32",
    }
    write_json(folder / "config.json", config)
    preprocessor = {
        "auto_map": code,
        "image_processor_type": "Phi4MMImageProcessor",
        "feature_extractor_type": "Phi4MMAudioFeatureExtractor",
        "processor_class": "Phi4MMProcessor",
    }
    write_json(folder / "preprocessor_config.json", preprocessor)
