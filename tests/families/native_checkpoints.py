"""Tiny folders of the families that vLLM has itself: configuration, processor and tokenizer.

There are no weights: the tests draw them where vLLM would (`load_format="dummy"`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.families.audio_checkpoints.omni import qwen2_5_omni, qwen3_omni
from tests.families.native_deepseek import deepseek_vl2
from tests.families.native_parts import QWEN2_AUDIO_TOWER, TEXT, VISION, ids, tokenizer_with
from tests.families.native_qwen import qwen2_5_vl, qwen2_vl, qwen3_vl

__all__ = ["NATIVE", "PREPARED_ONLY"]


def _clip_processor(kind: str) -> Any:
    import transformers

    options: dict[str, Any] = {"size": {"shortest_edge": 56}, "crop_size": 56}
    if kind == "LlavaNextImageProcessor":
        options["image_grid_pinpoints"] = [[56, 112], [112, 56], [112, 112]]
    return getattr(transformers, kind)(**options)


def llava(folder: Path) -> None:
    """LLaVA-1.5 in Hugging Face's layout."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaProcessor

    tokenizer = tokenizer_with(folder, ["<image>"], "<image>")
    [image] = ids(tokenizer, "<image>")
    LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION),
        text_config=LlamaConfig(**TEXT),
        image_token_index=image,
        vision_feature_layer=-2,
        architectures=["LlavaForConditionalGeneration"],
    ).save_pretrained(folder)
    LlavaProcessor(
        _clip_processor("CLIPImageProcessor"),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


def llava_next(folder: Path) -> None:
    """LLaVA-1.6 in Hugging Face's layout."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaNextConfig, LlavaNextProcessor

    tokenizer = tokenizer_with(folder, ["<image>"], "<image>")
    [image] = ids(tokenizer, "<image>")
    LlavaNextConfig(
        vision_config=CLIPVisionConfig(**VISION),
        text_config=LlamaConfig(**TEXT),
        image_token_index=image,
        vision_feature_layer=-2,
        image_grid_pinpoints=[[56, 112], [112, 56], [112, 112]],
        architectures=["LlavaNextForConditionalGeneration"],
    ).save_pretrained(folder)
    LlavaNextProcessor(
        _clip_processor("LlavaNextImageProcessor"),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


def idefics3(folder: Path) -> None:
    """Idefics3."""
    from transformers import Idefics3Config, Idefics3ImageProcessor, Idefics3Processor

    specials = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"]
    specials += [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer = tokenizer_with(folder, specials, "<image>")
    [image, end] = ids(tokenizer, "<image>", "<|endoftext|>")
    Idefics3Config(
        image_token_id=image,
        vision_config=VISION,
        text_config={"model_type": "llama", **TEXT, "pad_token_id": end},
        scale_factor=2,
        pad_token_id=end,
        architectures=["Idefics3ForConditionalGeneration"],
    ).save_pretrained(folder)
    Idefics3Processor(
        Idefics3ImageProcessor(size={"longest_edge": 112}, max_image_size={"longest_edge": 56}),
        tokenizer,
        image_seq_len=4,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


def smolvlm(folder: Path) -> None:
    """SmolVLM."""
    from transformers import (
        AutoTokenizer,
        SmolVLMConfig,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    idefics3(folder)  # the tokenizer and the special tokens are the same
    before = json.loads((folder / "config.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    SmolVLMConfig(
        image_token_id=before["image_token_id"],
        vision_config=VISION,
        text_config=before["text_config"],
        scale_factor=2,
        pad_token_id=before["pad_token_id"],
        architectures=["SmolVLMForConditionalGeneration"],
    ).save_pretrained(folder)
    size = {"longest_edge": 112}
    SmolVLMProcessor(
        SmolVLMImageProcessor(size=size, max_image_size={"longest_edge": 56}),
        tokenizer,
        SmolVLMVideoProcessor(
            size=size,
            max_image_size={"longest_edge": 56},
            video_sampling={"max_frames": 2, "fps": 1, "video_size": size},
        ),
        image_seq_len=4,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


def internvl(folder: Path) -> None:
    """InternVL 2; its configuration is a class of its repository, which is replaced by one here."""
    from transformers import AutoConfig, PretrainedConfig, Qwen2Config

    class InternVLChatConfig(PretrainedConfig):  # type: ignore[misc]
        model_type = "internvl_chat"

        def __init__(self, vision_config: Any = None, llm_config: Any = None, **rest: Any) -> None:
            self.vision_config = PretrainedConfig(**(vision_config or {}))
            self.llm_config = Qwen2Config(**(llm_config or {}))
            super().__init__(**rest)

    AutoConfig.register("internvl_chat", InternVLChatConfig, exist_ok=True)
    tokenizer = tokenizer_with(folder, ["<img>", "</img>", "<IMG_CONTEXT>"], "<image>")
    tokenizer.save_pretrained(folder)
    config = {
        "model_type": "internvl_chat",
        "architectures": ["InternVLChatModel"],
        "llm_config": {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], **TEXT},
        "vision_config": {
            **VISION,
            "model_type": "intern_vit_6b",
            "norm_type": "layer_norm",
            "layer_norm_eps": 1e-6,
            "hidden_act": "gelu",
            "qkv_bias": True,
            "qk_normalization": False,
            "initializer_factor": 0.1,
        },
        "force_image_size": 56,
        "downsample_ratio": 0.5,
        "ps_version": "v2",
        "select_layer": -1,
        "template": "internvl2_5",
        "min_dynamic_patch": 1,
        "max_dynamic_patch": 4,
        "dynamic_image_size": True,
        "use_thumbnail": True,
    }
    (folder / "config.json").write_text(json.dumps(config))


def mistral3(folder: Path) -> None:
    """Mistral-3 in Hugging Face's layout."""
    from transformers import (
        Mistral3Config,
        MistralConfig,
        PixtralImageProcessor,
        PixtralProcessor,
        PixtralVisionConfig,
    )

    names = ["[IMG]", "[IMG_BREAK]", "[IMG_END]"]
    tokenizer = tokenizer_with(folder, names, "[IMG]")
    [image] = ids(tokenizer, "[IMG]")
    Mistral3Config(
        text_config=MistralConfig(**TEXT, head_dim=32),
        vision_config=PixtralVisionConfig(**VISION, head_dim=24),
        image_token_index=image,
        spatial_merge_size=2,
        vision_feature_layer=-1,
        multimodal_projector_bias=False,
        architectures=["Mistral3ForConditionalGeneration"],
    ).save_pretrained(folder)
    PixtralProcessor(
        PixtralImageProcessor(size={"longest_edge": 112}, patch_size={"height": 28, "width": 28}),
        tokenizer,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


def gemma3(folder: Path) -> None:
    """Gemma-3."""
    from transformers import AutoTokenizer, Gemma3Config, Gemma3ImageProcessor, Gemma3Processor

    names = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    tokenizer = tokenizer_with(folder, names, "<start_of_image>")
    tokenizer.add_tokens(["\n" * count for count in range(1, 5)])
    start, end, soft = ids(tokenizer, *names)
    tokenizer.save_pretrained(folder)
    roles = dict(zip(("boi_token", "eoi_token", "image_token"), names, strict=True))
    tokenizer = AutoTokenizer.from_pretrained(folder, extra_special_tokens=roles)
    Gemma3Config(
        text_config={**TEXT, "head_dim": 32, "layer_types": ["sliding_attention"] * 2},
        vision_config={**VISION, "vision_use_head": False},
        mm_tokens_per_image=4,
        boi_token_index=start,
        eoi_token_index=end,
        image_token_index=soft,
        architectures=["Gemma3ForConditionalGeneration"],
    ).save_pretrained(folder)
    Gemma3Processor(
        Gemma3ImageProcessor(size={"height": 56, "width": 56}),
        tokenizer,
        image_seq_length=4,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


def paligemma(folder: Path) -> None:
    """PaliGemma."""
    from transformers import PaliGemmaConfig, PaliGemmaProcessor, SiglipImageProcessor

    tokenizer = tokenizer_with(folder, ["<image>", "<bos>"], "")
    tokenizer.add_tokens(["\n"])
    tokenizer.bos_token, tokenizer.add_bos_token = "<bos>", True
    [image, bos] = ids(tokenizer, "<image>", "<bos>")
    text = {"model_type": "gemma", **TEXT, "head_dim": 32, "bos_token_id": bos}
    PaliGemmaConfig(
        vision_config={
            **VISION,
            "model_type": "siglip_vision_model",
            "projection_dim": TEXT["hidden_size"],
            "vision_use_head": False,
        },
        text_config=text,
        image_token_index=image,
        projection_dim=TEXT["hidden_size"],
        architectures=["PaliGemmaForConditionalGeneration"],
    ).save_pretrained(folder)
    PaliGemmaProcessor(
        SiglipImageProcessor(size={"height": 56, "width": 56}, image_seq_length=16),
        tokenizer,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


def qwen2_audio(folder: Path) -> None:
    """Qwen2-Audio."""
    from transformers import Qwen2AudioConfig, Qwen2AudioProcessor, WhisperFeatureExtractor

    names = ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
    tokenizer = tokenizer_with(folder, names, "<|audio_bos|><|AUDIO|><|audio_eos|>")
    [audio] = ids(tokenizer, "<|AUDIO|>")
    Qwen2AudioConfig(
        audio_config=QWEN2_AUDIO_TOWER,
        text_config={"model_type": "qwen2", **TEXT},
        audio_token_index=audio,
        architectures=["Qwen2AudioForConditionalGeneration"],
    ).save_pretrained(folder)
    Qwen2AudioProcessor(
        WhisperFeatureExtractor(feature_size=80),
        tokenizer,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)


NATIVE: dict[str, Callable[[Path], None]] = {
    "llava": llava,
    "llava_next": llava_next,
    "internvl": internvl,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "mistral3": mistral3,
    "deepseek_vl2": deepseek_vl2,
    "gemma3": gemma3,
    "paligemma": paligemma,
    "qwen2_audio": qwen2_audio,
}

# Of these nothing but the pictures' way is ours.
PREPARED_ONLY: dict[str, Callable[[Path], None]] = {
    "qwen3_vl": qwen3_vl,
    "qwen2_5_omni": qwen2_5_omni,
    "qwen3_omni": qwen3_omni,
}
