"""What moondream's authors' code computes, written apart from the adapter.

From vikhyat/moondream: moondream/{moondream,vision_encoder,modeling_phi}.py at 2024-02-06 (the
first layout), 2024-05-01 and 2024-05-20.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional

from tests.families.phi_reference import PhiReference
from tests.families.reference import Reference, State, read_all
from tests.families.timm_reference import timm_features

__all__ = ["MoondreamReference"]

_OUTER = {
    "transformer.embd.wte.": "model.embed_tokens.",
    "lm_head.ln.": "model.final_layernorm.",
    "lm_head.linear.": "lm_head.",
}


class MoondreamReference(Reference):
    """`Moondream.answer_question`; `first` for the layout until 2024-03-04."""

    def __init__(self, checkpoint: Path, *, first: bool) -> None:
        from transformers import PreTrainedTokenizerFast

        raw = json.loads((checkpoint / "config.json").read_text())
        self.first = first
        self.state = read_all(checkpoint)
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(checkpoint)
        self.raw = {"eos_token_id": self.tokenizer.eos_token_id}
        self.lm: Any = PhiReference(_phi_config(raw, first), _phi_state(self.state))

    def pieces(self, prompt: str) -> list[list[int]]:
        """BOS, then the text around the picture, each side by itself."""
        sides = prompt.split("\x00")
        ids = [self.tokenizer(side, add_special_tokens=False).input_ids for side in sides]
        return [[self.tokenizer.bos_token_id, *ids[0]], *ids[1:]]

    def _features(self, image: bytes) -> torch.Tensor:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")
        fc1 = self.state["vision_encoder.projection.mlp.fc1.weight"]
        pixels = self._pixels(picture, several=fc1.shape[1] == 128)
        whole = functional.interpolate(pixels[None], size=(56, 56), mode="bilinear")
        seen = self._tower(whole)[0]
        if fc1.shape[1] == 128:
            seen = torch.cat([seen, self._local(pixels, seen)], dim=1)
        name = "vision_encoder.projection.mlp"
        inner = functional.gelu(
            functional.linear(seen, fc1, self.state[f"{name}.fc1.bias"]), approximate=self._gelu()
        )
        weight, bias = self.state[f"{name}.fc2.weight"], self.state[f"{name}.fc2.bias"]
        return functional.linear(inner, weight, bias)

    def _gelu(self) -> str:
        return "none" if self.first else "tanh"

    def _tower(self, pixels: torch.Tensor) -> torch.Tensor:
        return timm_features(
            self.state,
            "vision_encoder.encoder.model.visual.",
            pixels,
            patch=14,
            eps=1e-6 if self.first else 1e-5,
            gelu=self._gelu(),
        )

    def _pixels(self, picture: Image.Image, *, several: bool) -> torch.Tensor:
        """`VisionEncoder.preprocess`: `[3, height, width]`."""
        width, height = picture.size
        high, wide = 56, 56
        if several and max(width, height) >= 512:
            sizes = [(56, 56), (56, 112), (112, 56), (112, 112)]
            high, wide = min(
                sizes,
                key=lambda size: (
                    abs((size[1] / size[0]) - width / height),
                    abs(size[0] - width) + abs(size[1] - height),
                ),
            )
        resized = picture.resize((wide, high), Image.Resampling.BICUBIC)
        scaled = torch.from_numpy(np.asarray(resized).astype(np.float32) / 255)
        return ((scaled - 0.5) / 0.5).permute(2, 0, 1)

    def _local(self, pixels: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        """Features of the parts, put together and made as small as the whole's."""
        height, width = pixels.shape[1:]
        if (height, width) == (56, 56):
            return whole
        rows = []
        for top in range(0, height, 56):
            patches = [
                self._tower(pixels[None, :, top : top + 56, left : left + 56])[0]
                for left in range(0, width, 56)
            ]
            rows.append(torch.cat([patch.T.reshape(64, 4, 4) for patch in patches], dim=2))
        joined = torch.cat(rows, dim=1)[None]
        small = functional.interpolate(joined, size=(4, 4), mode="bilinear")[0]
        return small.reshape(64, 16).T


def _phi_config(raw: dict[str, Any], first: bool) -> dict[str, Any]:
    if first:
        own = raw["phi_config"]
    if first and "n_layer" in own:
        sizes = {"num_hidden_layers": own["n_layer"], "num_attention_heads": own["n_head"]}
        turned = own["rotary_dim"] / (own["n_embd"] // own["n_head"])
    else:
        own = raw.get("text_config") or raw["phi_config"]
        sizes = {key: own[key] for key in ("num_hidden_layers", "num_attention_heads")}
        turned = 0.5
    return {
        **sizes,
        "partial_rotary_factor": turned,
        "rope_theta": 10000.0,
        "layer_norm_eps": 1e-5,
    }


def _phi_state(state: State) -> State:
    """Tensors under the names of transformers' phi."""
    found: State = {}
    prefix = "text_model."
    for whole, value in state.items():
        if not whole.startswith(prefix):
            continue
        name = _phi_name(whole.removeprefix(prefix))
        if ".mixer.Wqkv." in name:
            for part, rows in zip("qkv", value.chunk(3), strict=True):
                found[name.replace(".mixer.Wqkv.", f".self_attn.{part}_proj.")] = rows
        else:
            found[name] = value
    return found


def _phi_name(name: str) -> str:
    for theirs, ours in _OUTER.items():
        name = name.replace(theirs, ours)
    name = name.replace("transformer.h.", "model.layers.").replace(".ln.", ".input_layernorm.")
    return name.replace(".mixer.out_proj.", ".self_attn.dense.")
