"""VILA-1.5 as its authors compute it.

From NVlabs/VILA at 637d49d: llava/mm_utils.py, llava/model/multimodal_projector/base_projector.py,
llava/model/multimodal_encoder/. Nothing of `sensorium` is imported here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from tests.families.bunny_reference import s2_features
from tests.families.reference import (
    Reference,
    State,
    load_vision,
    read_all,
    read_image_processor,
    read_tokenizer,
)

__all__ = ["InternVit", "VilaReference", "downsampled"]


class VilaReference(Reference):
    """`LlavaLlamaModel` from its three sub-folders."""

    def __init__(self, checkpoint: Path) -> None:
        self.config: dict[str, Any] = json.loads((checkpoint / "config.json").read_text())
        self.text = json.loads((checkpoint / "llm" / "config.json").read_text())
        self.raw = {"eos_token_id": self.text["eos_token_id"], "image_aspect_ratio": "resize"}
        vision = json.loads((checkpoint / "vision_tower" / "config.json").read_text())
        self.intern = vision["model_type"] == "intern_vit_6b"
        # `legacy=False` is said to every tokenizer but Yi's.
        self.tokenizer = _tokenizer(checkpoint / "llm", yi=self.intern)
        self.lm = self.language_model(read_all(checkpoint / "llm"))
        self.lm.resize_token_embeddings(len(self.tokenizer))
        self.ends = _ends(checkpoint / "llm", self.tokenizer)
        state = read_all(checkpoint / "vision_tower")
        if self.intern:
            self.tower = InternVit(vision, state)
        else:
            self.tower = _siglip(vision, state)
            self.processor = read_image_processor(checkpoint / "vision_tower", siglip=True)
        self.projector = read_all(checkpoint / "mm_projector")
        self.newline = None

    def language_model(self, state: State) -> Any:
        """A Llama."""
        import transformers

        fields = {key: value for key, value in self.text.items() if key != "model_type"}
        config = transformers.LlamaConfig(**fields, attn_implementation="eager")
        model = transformers.LlamaForCausalLM(config).eval()
        model.load_state_dict(state)
        return model

    def pixels(self, picture: Image.Image) -> torch.Tensor:
        """`process_image` under `resize`, and the tower's processor."""
        if self.intern:
            levels = torch.from_numpy(np.array(picture.resize((56, 56)))) / 255
            mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
            return ((levels - mean) / std).permute(2, 0, 1)
        edge = max(self._scales() or [70])
        done = self.processor(
            picture.resize((edge, edge)),
            size={"height": edge, "width": edge},
            return_tensors="pt",
            input_data_format="channels_last",
        )
        pixels: torch.Tensor = done["pixel_values"][0]
        return pixels

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """`feature_select` of the tower, at several scales where the config says so."""
        if self._scales():
            return s2_features(self._select, pixels, self._scales())
        return self._select(pixels)

    def _select(self, pixels: torch.Tensor) -> torch.Tensor:
        layer = self.config["mm_vision_select_layer"]
        hidden = self.tower(pixels, output_hidden_states=True).hidden_states[layer]
        chosen: torch.Tensor = hidden
        return chosen[:, 1:] if self.config["mm_vision_select_feature"] == "patch" else chosen

    def _scales(self) -> list[int]:
        if not self.config.get("s2"):
            return []
        return sorted(int(scale) for scale in self.config["s2_scales"].split(","))

    def _project(self, pixels: torch.Tensor) -> torch.Tensor:
        """`mlp_downsample`."""
        named = {name.removeprefix("layers."): value for name, value in self.projector.items()}
        return downsampled(named, self.see(pixels))


def downsampled(state: State, rows: torch.Tensor) -> torch.Tensor:
    """`flat_square`, a norm, two layers: `[1, rows, width]` to `[1, tokens, out]`."""
    x = flat_square(rows[0])
    x = functional.layer_norm(x, x.shape[-1:], state["1.weight"], state["1.bias"], 1e-5)
    x = functional.linear(x, state["2.weight"], state["2.bias"])
    return functional.linear(functional.gelu(x), state["4.weight"], state["4.bias"])[None]


def flat_square(rows: torch.Tensor) -> torch.Tensor:
    """Blocks of two by two features, the first column of blocks before the second."""
    edge = int(rows.shape[0] ** 0.5)
    even = edge + edge % 2
    grid = torch.zeros(even, even, rows.shape[1])
    grid[:edge, :edge] = rows.view(edge, edge, -1)
    blocks = []
    for column in range(0, even, 2):
        for row in range(0, even, 2):
            upper, lower = grid[row, column : column + 2], grid[row + 1, column : column + 2]
            blocks.append(torch.cat([*upper, *lower]))
    return torch.stack(blocks)


def _tokenizer(folder: Path, *, yi: bool) -> Any:
    import transformers

    if yi or not (folder / "tokenizer.model").exists():
        return read_tokenizer(folder)
    return transformers.LlamaTokenizer.from_pretrained(folder, legacy=False)


def _siglip(fields: dict[str, Any], state: State) -> Any:
    import transformers

    config = transformers.SiglipVisionConfig(**fields, attn_implementation="eager")
    model = transformers.SiglipVisionModel(config).eval()
    load_vision(model, {name: value for name, value in state.items() if "vision_model" in name})
    return model


class _Hidden:
    def __init__(self, hidden_states: list[torch.Tensor]) -> None:
        self.hidden_states = hidden_states


class InternVit:
    """`InternVisionModel` in plain torch."""

    def __init__(self, config: dict[str, Any], state: State) -> None:
        self.config = config
        self.state = state

    def __call__(self, pixels: torch.Tensor, *, output_hidden_states: bool) -> _Hidden:
        state = self.state
        patches = functional.conv2d(
            pixels,
            state["embeddings.patch_embedding.weight"],
            state["embeddings.patch_embedding.bias"],
            stride=self.config["patch_size"],
        )
        first = state["embeddings.class_embedding"].expand(len(pixels), -1, -1)
        x = torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1)
        seen = [x + state["embeddings.position_embedding"]]
        for layer in range(self.config["num_hidden_layers"]):
            name = f"encoder.layers.{layer}"
            x = seen[-1]
            attended = self._attend(f"{name}.attn", self._norm(f"{name}.norm1", x))
            x = x + state[f"{name}.ls1"] * attended
            inner = functional.gelu(self._linear(f"{name}.mlp.fc1", self._norm(f"{name}.norm2", x)))
            seen.append(x + state[f"{name}.ls2"] * self._linear(f"{name}.mlp.fc2", inner))
        return _Hidden(seen)

    def _attend(self, name: str, y: torch.Tensor) -> torch.Tensor:
        """Queries and keys are normed over all heads at once."""
        batch, rows, width = y.shape
        heads = self.config["num_attention_heads"]
        query, key, value = functional.linear(y, self.state[f"{name}.qkv.weight"]).split(width, -1)
        parts = (self._norm(f"{name}.q_norm", query), self._norm(f"{name}.k_norm", key), value)
        split = [part.view(batch, rows, heads, -1).transpose(1, 2) for part in parts]
        out = functional.scaled_dot_product_attention(*split)
        return self._linear(f"{name}.proj", out.transpose(1, 2).reshape(batch, rows, width))

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        size = x.pow(2).mean(-1, keepdim=True) + self.config["layer_norm_eps"]
        return self.state[f"{name}.weight"] * x * torch.rsqrt(size)


def _ends(folder: Path, tokenizer: Any) -> frozenset[int]:
    """The generation config's end tokens, and where a turn of `llama_3` ends."""
    path = folder / "generation_config.json"
    told = json.loads(path.read_text())["eos_token_id"] if path.exists() else []
    turn = tokenizer.get_vocab().get("<|eot_id|>")
    return frozenset(told if isinstance(told, list) else [told]) | {turn} - {None}
