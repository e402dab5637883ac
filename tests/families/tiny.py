"""Parts of tiny random checkpoints, written as their authors publish them.

Weights are drawn wide enough that greedy tokens vary and depend on the image: with the usual 0.02
every answer would be the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

__all__ = [
    "CLIP_PREPROCESSING",
    "clip_tower",
    "corpus",
    "draw",
    "draw_shapes",
    "draw_weights",
    "image_tensors",
    "llama_tokenizer",
    "qwen_tokenizer",
    "save_bin",
    "save_safetensors",
    "siglip_tower",
    "train_sentencepiece",
    "write_json",
]

State = dict[str, torch.Tensor]
_CORPUS = Path(__file__).resolve().parents[2] / "LICENSE"
_WORDS = """USER: ASSISTANT: Human: Assistant: What is in the image? Describe the two images.
A chat between a curious user and an artificial intelligence assistant.
The assistant gives helpful, detailed, and polite answers to the user's questions.
"""
CLIP_PREPROCESSING = {
    "crop_size": 56,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 56,
}


def draw(shape: tuple[int, ...], seed: int, scale: float = 1.0) -> torch.Tensor:
    """A seeded normal tensor."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def draw_weights(module: nn.Module, seed: int, gain: float = 1.5) -> State:
    """Seeded weights for every parameter of a module; its state dict."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, value in module.state_dict().items():
        if not value.is_floating_point():
            state[name] = value.clone()
            continue
        noise = torch.randn(value.shape, generator=generator)
        if value.ndim >= 2:
            fan_in = value[0].numel()
            state[name] = noise * gain / fan_in**0.5
        elif name.endswith("bias"):
            state[name] = 0.1 * noise
        else:
            state[name] = 1 + 0.1 * noise
    module.load_state_dict(state)
    return state


def draw_shapes(shapes: Mapping[str, tuple[int, ...]], seed: int, gain: float = 1.5) -> State:
    """Seeded weights by name and shape, for models that are not a module here."""
    state: State = {}
    for number, (name, shape) in enumerate(shapes.items()):
        if len(shape) >= 2:
            state[name] = draw(shape, seed + number, gain / math.prod(shape[1:]) ** 0.5)
        else:
            noise = draw(shape, seed + number, 0.1)
            state[name] = noise if name.endswith("bias") else 1 + noise
    return state


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a config file."""
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def save_bin(folder: Path, state: State, shards: int = 2) -> None:
    """Torch files with an index, as LLaVA's checkpoints have."""
    names = list(state)
    each = -(-len(names) // shards)
    weight_map = {}
    for shard in range(shards):
        file = f"pytorch_model-{shard + 1:05d}-of-{shards:05d}.bin"
        part = {name: state[name].clone() for name in names[shard * each : (shard + 1) * each]}
        torch.save(part, folder / file)
        weight_map.update(dict.fromkeys(part, file))
    write_json(folder / "pytorch_model.bin.index.json", {"metadata": {}, "weight_map": weight_map})


def save_safetensors(folder: Path, state: State) -> None:
    """One safetensors file without an index."""
    from safetensors.torch import save_file

    tensors = {name: value.clone().contiguous() for name, value in state.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def clip_tower(folder: Path | None, seed: int, **vision: int) -> State:
    """A CLIP model's tensors (`vision_model.*`); with a folder, published there as OpenAI does."""
    from transformers import CLIPConfig, CLIPModel

    sizes = {"image_size": 56, "patch_size": 14, **vision}
    config = CLIPConfig(
        text_config={
            "vocab_size": 64,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 16,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "hidden_act": "quick_gelu",
            **sizes,
        },
        projection_dim=32,
    )
    model = CLIPModel(config)
    state = draw_weights(model, seed)
    if folder is not None:
        folder.mkdir(parents=True)
        config.save_pretrained(folder)
        torch.save(state, folder / "pytorch_model.bin")
        preprocessing = {**CLIP_PREPROCESSING}
        preprocessing.update(size=sizes["image_size"], crop_size=sizes["image_size"])
        write_json(folder / "preprocessor_config.json", preprocessing)
    return {name: value for name, value in state.items() if name.startswith("vision_model.")}


def siglip_tower(folder: Path, seed: int, *, weights: bool = True, image_size: int = 56) -> State:
    """A SigLIP model's tensors (`vision_model.*`), published in a folder as Google does."""
    from transformers import SiglipConfig, SiglipModel

    side: dict[str, int] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
    }
    config = SiglipConfig(
        text_config={"vocab_size": 64, "max_position_embeddings": 16, **side},
        vision_config={"image_size": image_size, "patch_size": 14, **side},
    )
    model = SiglipModel(config)
    state = draw_weights(model, seed)
    folder.mkdir(parents=True)
    config.save_pretrained(folder)
    if weights:
        save_safetensors(folder, state)
    write_json(
        folder / "preprocessor_config.json",
        {
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
            "image_processor_type": "SiglipImageProcessor",
            "resample": 3,
            "rescale_factor": 1 / 255,
            "size": {"height": image_size, "width": image_size},
        },
    )
    return {name: value for name, value in state.items() if name.startswith("vision_model.")}


def corpus() -> str:
    """The text that tokenizers are trained on."""
    return _CORPUS.read_text(encoding="utf-8") + _WORDS * 20


def train_sentencepiece(folder: Path, words: str, **options: Any) -> None:
    """tokenizer.model of 640 pieces with Llama's settings, trained on `words`."""
    import sentencepiece

    text = folder / "corpus.txt"
    text.write_text(words, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=640,
        model_type="bpe",
        byte_fallback=True,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        split_digits=True,
        minloglevel=2,
        **options,
    )
    text.unlink()
    (folder / "tokenizer.vocab").unlink()


def llama_tokenizer(
    folder: Path, *, legacy: bool | None, bos: bool = True, symbols: Sequence[str] = ()
) -> None:
    """A sentencepiece model trained here, with the settings of Llama's; it defines `symbols`.

    `legacy` of None leaves the key out, as configs do that are older than it.
    """
    train_sentencepiece(folder, corpus(), add_dummy_prefix=True, user_defined_symbols=[*symbols])
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}
    write_json(
        folder / "tokenizer_config.json",
        {
            **special,
            "add_bos_token": bos,
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
            **({} if legacy is None else {"legacy": legacy}),
            "model_max_length": 2048,
            "padding_side": "right",
            "tokenizer_class": "LlamaTokenizer",
        },
    )
    write_json(folder / "special_tokens_map.json", special)


def qwen_tokenizer(folder: Path, bos: str | None = None, special: tuple[str, ...] = ()) -> None:
    """A byte-level BPE trained here, without a BOS token unless one is named.

    Qwen's and phi's have none.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", *([bos] if bos else []), *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus().splitlines(), trainer)
    end = "<|endoftext|>"
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=end, pad_token=end, unk_token=end
    ).save_pretrained(folder)


def image_tensors(vision: State) -> State:
    """A tower's tensors under the names they have inside a LLaVA checkpoint."""
    return {f"model.vision_tower.vision_tower.{name}": value for name, value in vision.items()}
