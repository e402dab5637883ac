"""What DeepSeek-VL's authors' code computes, written apart from the adapter.

From deepseek-ai/DeepSeek-VL: deepseek_vl/models/{image_processing_vlm,processing_vlm,clip_encoder,
sam,projector,modeling_vlm}.py, inference.py.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch.nn import functional

from tests.families.reference import Reference, read_all
from tests.families.timm_reference import timm_features

__all__ = ["DeepSeekReference"]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class DeepSeekReference(Reference):
    """`MultiModalityCausalLM` and `VLChatProcessor`."""

    def __init__(self, checkpoint: Path) -> None:
        from tokenizers import Tokenizer
        from transformers import LlamaConfig, LlamaForCausalLM

        self.raw = json.loads((checkpoint / "config.json").read_text())
        self.state = read_all(checkpoint)
        self.text = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
        self.text.add_special_tokens(["<image_placeholder>"])
        end = self.text.token_to_id("<｜end▁of▁sentence｜>")
        self.raw["eos_token_id"] = end
        config = LlamaConfig(**self.raw["language_config"], attn_implementation="eager")
        self.lm = LlamaForCausalLM(config).eval()
        prefix = "language_model."
        own = {n.removeprefix(prefix): t for n, t in self.state.items() if n.startswith(prefix)}
        self.lm.load_state_dict(own)

    def pieces(self, prompt: str) -> list[list[int]]:
        """One text in which the picture is a special token, after BOS."""
        text = prompt.replace("<image>", "<image_placeholder>").strip()
        begin, mark = (
            self.text.token_to_id(name)
            for name in ("<｜begin▁of▁sentence｜>", "<image_placeholder>")
        )
        found = [[begin]]
        for number in self.text.encode(text, add_special_tokens=False).ids:
            if number == mark:
                found.append([])
            else:
                found[-1].append(number)
        return found

    def _features(self, image: bytes) -> torch.Tensor:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")
        params = self.raw["vision_config"]["params"]
        if "high_res_cfg" in params:
            pixels = _square(picture, params["high_res_cfg"]["image_size"], CLIP_MEAN)
            return self._aligned(*self._both_towers(pixels[None], params))
        pixels = (_square(picture, params["image_size"], (0.5,) * 3) - 0.5) / 0.5
        features = timm_features(self.state, "vision_model.vision_tower.", pixels[None], patch=16)
        hidden = functional.gelu(self._linear("aligner.layers.0", features[0]))
        return self._linear("aligner.layers.2", hidden)

    def _aligned(self, high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        both = [
            self._linear("aligner.high_up_proj", high[0]),
            self._linear("aligner.low_up_proj", low[0]),
        ]
        return self._linear("aligner.layers.1", functional.gelu(torch.cat(both, dim=-1)))

    def _both_towers(
        self, pixels: torch.Tensor, params: dict[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        size = params["low_res_cfg"]["image_size"]
        small = functional.interpolate(
            pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
        mean, std = (torch.tensor(value)[:, None, None] for value in (CLIP_MEAN, CLIP_STD))
        high = _sam(
            {
                name.removeprefix("vision_model.vision_tower_high.vision_tower."): value
                for name, value in self.state.items()
            },
            (pixels - mean) / std,
        )
        low = timm_features(
            self.state,
            "vision_model.vision_tower_low.vision_tower.",
            (small - 0.5) / 0.5,
            patch=16,
        )
        return high.flatten(2).transpose(1, 2), low

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])


def _square(picture: Image.Image, size: int, mean: tuple[float, ...]) -> torch.Tensor:
    """`VLMImageProcessor.resize`, scaled to 0..1."""
    import numpy as np

    longest = max(picture.size)
    high = max(int(picture.height / longest * size), 14)
    wide = max(int(picture.width / longest * size), 14)
    picture = picture.resize((wide, high), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (size, size), tuple(int(x * 255) for x in mean))
    square.paste(picture, ((size - wide) // 2, (size - high) // 2))
    return torch.from_numpy(np.asarray(square).astype(np.float32) / 255).permute(2, 0, 1)


def _sam(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """`ImageEncoderViT`: windows of 14 everywhere but in blocks 2, 5, 8 and 11."""
    x = functional.conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], 16)
    x = x.permute(0, 2, 3, 1) + state["pos_embed"]
    width = x.shape[-1]

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(
            x, (width,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6
        )

    first = None
    for block in range(sum(name.endswith("norm1.weight") for name in state if "blocks" in name)):
        name = f"blocks.{block}"
        if (
            f"{name}.attn.qkv.weight" not in state
            or state[f"{name}.attn.qkv.weight"].shape[1] != width
        ):
            break
        whole = block in (2, 5, 8, 11)
        y = norm(f"{name}.norm1", x)
        x = x + (_attend(state, name, y) if whole else _windows(state, name, y))
        y = norm(f"{name}.norm2", x)
        y = functional.linear(y, state[f"{name}.mlp.lin1.weight"], state[f"{name}.mlp.lin1.bias"])
        y = functional.gelu(y)
        x = x + functional.linear(
            y, state[f"{name}.mlp.lin2.weight"], state[f"{name}.mlp.lin2.bias"]
        )
        if whole and first is None:
            first = x
    assert first is not None
    fine = _down(state, _neck(state, "neck_hd", first))
    return _down(state, _neck(state, "neck", x)) + fine * state["hd_alpha_downsamples"]


def _windows(state: dict[str, torch.Tensor], name: str, y: torch.Tensor) -> torch.Tensor:
    """Attention within windows of 14x14, zeros filling the last ones."""
    rows, columns = y.shape[1:3]
    y = functional.pad(y, (0, 0, 0, -columns % 14, 0, -rows % 14))
    out = torch.empty_like(y)
    for top in range(0, y.shape[1], 14):
        for left in range(0, y.shape[2], 14):
            window = y[:, top : top + 14, left : left + 14]
            out[:, top : top + 14, left : left + 14] = _attend(state, name, window)
    return out[:, :rows, :columns]


def _attend(state: dict[str, torch.Tensor], name: str, y: torch.Tensor) -> torch.Tensor:
    """Twelve heads with relative positions along rows and columns, one position at a time."""
    pictures, rows, columns, width = y.shape
    heads = 12
    qkv = functional.linear(y, state[f"{name}.attn.qkv.weight"], state[f"{name}.attn.qkv.bias"])
    q, k, v = (
        part.view(pictures, rows * columns, heads, -1).transpose(1, 2) for part in qkv.chunk(3, -1)
    )
    scores = (q @ k.mT) * q.shape[-1] ** -0.5
    tables = [state[f"{name}.attn.rel_pos_{axis}"] for axis in "hw"]
    row = torch.arange(rows).repeat_interleave(columns)
    column = torch.arange(columns).repeat(rows)
    for table, at, length in ((tables[0], row, rows), (tables[1], column, columns)):
        assert table.shape[0] == 2 * length - 1
        apart = table[at[:, None] - at[None, :] + length - 1]
        scores = scores + torch.einsum("phqd,qkd->phqk", q, apart)
    out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(pictures, rows, columns, width)
    return functional.linear(
        out, state[f"{name}.attn.proj.weight"], state[f"{name}.attn.proj.bias"]
    )


def _neck(state: dict[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    def norm(part: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"]
        y = functional.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias, 1e-6)
        return y.permute(0, 3, 1, 2)

    x = norm("1", functional.conv2d(x.permute(0, 3, 1, 2), state[f"{name}.0.weight"]))
    return norm("3", functional.conv2d(x, state[f"{name}.2.weight"], padding=1))


def _down(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    x = functional.interpolate(x, size=(96, 96), mode="bilinear", align_corners=False)
    for index in range(2):
        x = functional.conv2d(x, state[f"downsamples.{index}.weight"], stride=2, padding=1)
    return x
