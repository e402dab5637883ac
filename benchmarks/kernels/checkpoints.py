"""Folders of the shapes of LLaVA-1.5-7B and Qwen2-VL-7B without weights, for dummy ones.

Sizes are those of `config.json` of `llava-hf/llava-1.5-7b-hf` and `Qwen/Qwen2-VL-7B-Instruct`.
LLaVA is in Hugging Face's layout, since that is the only one stock vLLM serves. The tokenizer has
as many tokens as the model, so that every token drawn from dummy weights is text; it is not the
authors'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["SHAPES", "Shape"]

_END = "<|endoftext|>"
_CHAT = (
    "{% for m in messages %}{% for c in m['content'] %}"
    "{% if c['type'] == 'text' %}{{ c['text'] }}{% else %}MARK{% endif %}"
    "{% endfor %}{% endfor %} ASSISTANT:"
)
_LLAVA_TEXT = {
    "vocab_size": 32064,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
}
_LLAVA_VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}
_QWEN_TEXT = {
    "vocab_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
}
_QWEN_VISION = {"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "num_heads": 16}
_QWEN_ROPE = {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6}
# Sizes of a dry run.
_TINY_TEXT = {
    "vocab_size": 768,
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
_TINY_LLAVA_VISION = {
    **_LLAVA_VISION,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 56,
}
_TINY_QWEN_VISION = {"depth": 2, "embed_dim": 48, "hidden_size": 128, "num_heads": 2}


@dataclass(frozen=True)
class Shape:
    """A model's name, the loads it has room for, and what writes its folder.

    `write(folder, tiny)`.
    """

    name: str
    rows: tuple[str, ...]
    write: Callable[[Path, bool], None]


def _tokenizer(folder: Path, size: int, specials: Sequence[str], mark: str) -> Any:
    """One token a byte, and as many more as `size` leaves, which only a model can produce."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    fillers = size - len(alphabet) - len(specials) - 1
    tokens = [_END, *specials, *alphabet, *(f"token{number}" for number in range(fillers))]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=_END, pad_token=_END, unk_token=_END
    )
    fast.add_special_tokens({"additional_special_tokens": list(specials)})
    fast.chat_template = _CHAT.replace("MARK", mark)
    folder.mkdir(parents=True)
    fast.save_pretrained(folder)
    return fast


def _write_llava(folder: Path, tiny: bool) -> None:
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaProcessor,
    )

    text = _TINY_TEXT if tiny else _LLAVA_TEXT
    vision = _TINY_LLAVA_VISION if tiny else _LLAVA_VISION
    tokenizer = _tokenizer(folder, int(text["vocab_size"]), ["<image>"], "<image>")
    LlavaConfig(
        vision_config=CLIPVisionConfig(**vision),
        text_config=LlamaConfig(**text),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        architectures=["LlavaForConditionalGeneration"],
    ).save_pretrained(folder)
    side = vision["image_size"]
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": side}, crop_size=side),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


def _write_qwen2_vl(folder: Path, tiny: bool) -> None:
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    text = _TINY_TEXT if tiny else _QWEN_TEXT
    names = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    tokenizer = _tokenizer(folder, int(text["vocab_size"]), names, mark)
    start, end, image, video = tokenizer.convert_tokens_to_ids(names)
    rope = {**_QWEN_ROPE, "mrope_section": [4, 6, 6]} if tiny else _QWEN_ROPE
    Qwen2VLConfig(
        text_config={
            "model_type": "qwen2_vl_text",
            **text,
            "rope_parameters": rope,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config=_TINY_QWEN_VISION if tiny else _QWEN_VISION,
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
        architectures=["Qwen2VLForConditionalGeneration"],
    ).save_pretrained(folder)
    # The published limit of 12.8 megapixels asks for a context of 16384 tokens; no load needs it.
    pixels = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * (36 if tiny else 1280)}
    Qwen2VLProcessor(
        Qwen2VLImageProcessor(size=pixels),
        tokenizer,
        Qwen2VLVideoProcessor(size=pixels),
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


SHAPES = (
    # Eight images of 576 tokens do not fit into LLaVA-1.5's context of 4096.
    Shape("llava-1.5-7b", ("text-short", "image"), _write_llava),
    Shape("qwen2-vl-7b", ("text-short", "image", "images-8"), _write_qwen2_vl),
)
