"""LLaVA on language models with names of their own: tiny checkpoints and their reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.families import legacy_tokenizers, reference, tiny
from tests.families.checkpoints.base import mlp_projector
from tests.families.legacy_checkpoints import HEADS, INNER, LAYERS, WIDTH, qwen_config, qwen_state
from tests.families.legacy_reference import QwenReference
from tests.families.parity import Subject
from tests.families.served import Served

__all__ = ["serving"]

State = dict[str, torch.Tensor]
_MULTIMODAL = {
    "image_aspect_ratio": "pad",
    "mm_hidden_size": 64,
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
    "use_mm_proj": True,
}


def _save(folder: Path, root: str, seed: int, state: State, raw: dict[str, Any]) -> None:
    """Tower and projector below the language model's root, as LLaVA puts them."""
    vision = tiny.clip_tower(folder / f"clip-tiny-{folder.name}", seed)
    (folder / f"clip-tiny-{folder.name}" / "pytorch_model.bin").unlink()
    added = {**mlp_projector(seed + 1), **tiny.image_tensors(vision)}
    added = {f"{root}.{name.removeprefix('model.')}": value for name, value in added.items()}
    tiny.save_safetensors(folder, {**state, **added})
    tower = f"openai/clip-tiny-{folder.name}"
    tiny.write_json(folder / "config.json", {**raw, **_MULTIMODAL, "mm_vision_tower": tower})


def llava_qwen(folder: Path) -> None:
    """LLaVA on Qwen-1: everything below `transformer.`, qwen.tiktoken."""
    raw = qwen_config(
        architectures=["LlavaQWenForCausalLM"], model_type="llava_qwen", seq_length=4096
    )
    _save(folder, "transformer", 1801, qwen_state(1800), {**raw, "eos_token_id": 556})
    legacy_tokenizers.qwen_tiktoken(folder)


def llava_neox(folder: Path) -> None:
    """LLaVA on GPT-NeoX: everything below `gpt_neox.`, rotary positions on a quarter of a head."""
    shapes: dict[str, tuple[int, ...]] = {"gpt_neox.embed_in.weight": (704, WIDTH)}
    for layer in range(LAYERS):
        name = f"gpt_neox.layers.{layer}"
        for part, shape in {
            "attention.query_key_value": (3 * WIDTH, WIDTH),
            "attention.dense": (WIDTH, WIDTH),
            "mlp.dense_h_to_4h": (INNER, WIDTH),
            "mlp.dense_4h_to_h": (WIDTH, INNER),
        }.items():
            shapes |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
        for part in ("input_layernorm", "post_attention_layernorm"):
            shapes |= {f"{name}.{part}.{kind}": (WIDTH,) for kind in ("weight", "bias")}
    shapes |= {f"gpt_neox.final_layer_norm.{kind}": (WIDTH,) for kind in ("weight", "bias")}
    shapes["embed_out.weight"] = (704, WIDTH)
    state = {}
    for number, (name, shape) in enumerate(shapes.items()):
        scale = 1.5 / shape[1] ** 0.5 if len(shape) == 2 else 0.1
        state[name] = tiny.draw(shape, 1900 + number, scale)
        if len(shape) == 1 and name.endswith("weight"):
            state[name] += 1
    for layer in range(LAYERS):
        name = f"gpt_neox.layers.{layer}.attention"
        state[f"{name}.bias"] = torch.ones(1, 1, 8, 8, dtype=torch.bool).tril()
        state[f"{name}.masked_bias"] = torch.tensor(-1e9)
        state[f"{name}.rotary_emb.inv_freq"] = tiny.draw((4,), 5)
    raw = {
        "architectures": ["LlavaGPTNeoXForCausalLM"],
        "model_type": "llava_gpt_neox",
        "bos_token_id": 0,
        "eos_token_id": 0,
        "hidden_act": "gelu",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "rotary_emb_base": 10000,
        "rotary_pct": 0.25,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_parallel_residual": True,
        "vocab_size": 704,
    }
    _save(folder, "gpt_neox", 1901, state, raw)
    tiny.qwen_tokenizer(folder)


class _LanguageModel:
    """The few methods of a transformers model that the reference calls."""

    def __init__(self, logits: Callable[[torch.Tensor], torch.Tensor], table: torch.Tensor) -> None:
        self._logits = logits
        self._table = table
        self._rows = len(table)

    def get_input_embeddings(self) -> nn.Module:
        """The table of token embeddings."""
        return nn.Embedding.from_pretrained(self._table)

    def resize_token_embeddings(self, rows: int) -> None:
        """Cut the head to the tokenizer's vocabulary."""
        self._rows = rows

    def __call__(self, *, inputs_embeds: torch.Tensor, use_cache: bool) -> Any:
        """Logits of the last position of a batch of one sequence."""
        return SimpleNamespace(logits=self._logits(inputs_embeds[0])[None, None, : self._rows])


class _NeoX:
    """GPT-NeoX, from transformers' modeling_gpt_neox.py; not that class, which vLLM rewrites."""

    def __init__(self, raw: dict[str, Any], state: State) -> None:
        self.raw = raw
        self.state = state

    def from_embeddings(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the token after the embeddings `[tokens, hidden]`."""
        for layer in range(self.raw["num_hidden_layers"]):
            name = f"gpt_neox.layers.{layer}"
            attended = self._attend(f"{name}.attention", self._norm(f"{name}.input_layernorm", x))
            y = self._norm(f"{name}.post_attention_layernorm", x)
            hidden = functional.gelu(self._linear(f"{name}.mlp.dense_h_to_4h", y))
            x = x + attended + self._linear(f"{name}.mlp.dense_4h_to_h", hidden)
        return self._norm("gpt_neox.final_layer_norm", x[-1]) @ self.state["embed_out.weight"].T

    def _attend(self, name: str, y: torch.Tensor) -> torch.Tensor:
        heads = self.raw["num_attention_heads"]
        mixed = self._linear(f"{name}.query_key_value", y).view(len(y), heads, -1).transpose(0, 1)
        query, key, value = mixed.chunk(3, dim=-1)
        out = functional.scaled_dot_product_attention(
            self._rotate(query), self._rotate(key), value, is_causal=True
        )
        return self._linear(f"{name}.dense", out.transpose(0, 1).reshape(len(y), -1))

    def _rotate(self, x: torch.Tensor) -> torch.Tensor:
        turned = int(x.shape[-1] * self.raw["rotary_pct"])
        power = torch.arange(0, turned, 2).float() / turned
        angles = torch.outer(torch.arange(x.shape[1]).float(), 10000.0**-power)
        cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
        part, rest = x[..., :turned], x[..., turned:]
        half = torch.cat([-part[..., turned // 2 :], part[..., : turned // 2]], dim=-1)
        return torch.cat([part * cos + half * sin, rest], dim=-1)

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, self.raw["layer_norm_eps"])


class _QwenTokenizer:
    bos_token_id = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, text: str) -> Any:
        return SimpleNamespace(input_ids=legacy_tokenizers.encode_qwen(self.folder, text))

    def __len__(self) -> int:
        return 556 + 208


class _Reference(reference.Reference):
    """LLaVA's reference with another language model."""

    def __init__(self, folder: Path, root: str) -> None:
        self.raw = json.loads((folder / "config.json").read_text())
        state = reference.read_all(folder)
        tower = folder / Path(self.raw["mm_vision_tower"]).name
        self.siglip = False
        self.tokenizer: Any
        if root == "transformer":
            self.tokenizer = _QwenTokenizer(folder)
            model: Any = QwenReference(folder)
            table = state["transformer.wte.weight"]
        else:
            self.tokenizer = reference.read_tokenizer(folder)
            model = _NeoX(self.raw, state)
            table = state["gpt_neox.embed_in.weight"]
        self.lm = _LanguageModel(model.from_embeddings, table)
        self.lm.resize_token_embeddings(len(self.tokenizer))
        renamed = {f"model.{n.removeprefix(f'{root}.')}": value for n, value in state.items()}
        self.tower = reference._tower(tower, renamed, siglip=False)
        self.processor = reference.read_image_processor(tower, siglip=False)
        prefix = "model.mm_projector."
        self.projector = {
            n.removeprefix(prefix): value for n, value in renamed.items() if n.startswith(prefix)
        }
        self.newline = None


_BUILDERS = {
    "llava-qwen1": (llava_qwen, "transformer"),
    "llava-neox": (llava_neox, "gpt_neox"),
}


@contextmanager
def serving(name: str, folder: Path, prompt: str, **options: Any) -> Iterator[Subject]:
    """Build a checkpoint below `folder`, serve it and read it as the authors do."""
    checkpoint = folder / name
    build, root = _BUILDERS[name]
    if not checkpoint.exists():
        checkpoint.mkdir()
        build(checkpoint)
    served = Served(checkpoint, **options)
    try:
        yield Subject(served, _Reference(checkpoint, root), prompt)
    finally:
        served.close()
