"""What mPLUG-Owl2's authors' code computes, written apart from the adapter.

From X-PLUG/mPLUG-Owl: mPLUG-Owl2/mplug_owl2/model/{visual_encoder,modeling_llama2,multiway,
modeling_mplug_owl2}.py, mm_utils.py, and the README's example for the picture.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional

from tests.families.reference import Reference, read_all, read_tokenizer

__all__ = ["MplugOwl2Reference"]

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


class MplugOwl2Reference(Reference):
    """`MPLUGOwl2LlamaForCausalLM`, a row at a time where rows differ."""

    def __init__(self, checkpoint: Path) -> None:
        self.raw = json.loads((checkpoint / "config.json").read_text())
        self.state = read_all(checkpoint)
        self.tokenizer = read_tokenizer(checkpoint)

    @torch.inference_mode()
    def answer(
        self, prompt: str, images: Sequence[bytes] = (), tokens: int = 16
    ) -> tuple[list[int], torch.Tensor]:
        """Greedy tokens and log-probabilities; rows of pictures take the second way."""
        table = self.state["model.embed_tokens.weight"]
        features = self.features_of(images)
        parts, ways = [], []
        for index, ids in enumerate(self.pieces(prompt)):
            if index:
                parts.append(features[index - 1])
                ways += [1] * len(features[index - 1])
            parts.append(table[torch.tensor(ids, dtype=torch.long)])
            ways += [0] * len(ids)
        sequence = torch.cat(parts)
        chosen: list[int] = []
        rows = []
        for _ in range(tokens):
            scores = self._language(sequence, torch.tensor(ways))[-1]
            rows.append(torch.log_softmax(scores, -1))
            chosen.append(int(rows[-1].argmax()))
            if chosen[-1] == self.raw["eos_token_id"]:
                break
            sequence = torch.cat([sequence, table[chosen[-1:]]])
            ways.append(0)
        return chosen, torch.stack(rows)

    def _features(self, image: bytes) -> torch.Tensor:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")
        edge = max(picture.size)
        size = self.raw["visual_config"]["visual_model"]["image_size"]
        picture = picture.resize((edge, edge)).resize((size, size), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.asarray(picture).astype(np.float32) / 255)
        pixels = (pixels - torch.tensor(MEAN)) / torch.tensor(STD)
        seen = self._see(pixels.permute(2, 0, 1)[None])
        return self._abstract(seen)

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _layer_norm(self, name: str, x: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, eps)

    def _see(self, pixels: torch.Tensor) -> torch.Tensor:
        """`MplugOwlVisionModel`: `[1 + patches, width]`."""
        config, name = self.raw["visual_config"]["visual_model"], "model.vision_model"
        embeddings = f"{name}.embeddings"
        patch = config["patch_size"]
        x = functional.conv2d(pixels, self.state[f"{embeddings}.patch_embed.weight"], stride=patch)
        x = torch.cat([self.state[f"{embeddings}.cls_token"][0], x[0].flatten(1).T])
        x = self._layer_norm(
            f"{embeddings}.pre_layernorm", x + self.state[f"{embeddings}.position_embedding"][0]
        )
        heads = config["num_attention_heads"]
        for layer in range(config["num_hidden_layers"]):
            at = f"{name}.encoder.layers.{layer}"
            y = self._layer_norm(f"{at}.input_layernorm", x)
            mixed = self._linear(f"{at}.self_attn.query_key_value", y).view(len(y), heads, 3, -1)
            q, k, v = (mixed[:, :, part].transpose(0, 1) for part in range(3))
            weights = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)
            out = (weights @ v).transpose(0, 1).reshape(len(y), -1)
            x = x + self._linear(f"{at}.self_attn.dense", out)
            y = self._layer_norm(f"{at}.post_attention_layernorm", x)
            y = self._linear(f"{at}.mlp.fc1", y)
            x = x + self._linear(f"{at}.mlp.fc2", y * torch.sigmoid(1.702 * y))
        return self._layer_norm(f"{name}.post_layernorm", x)

    def _abstract(self, seen: torch.Tensor) -> torch.Tensor:
        """`MplugOwlVisualAbstractorModel`: `[queries + 1, hidden]`."""
        config, name = self.raw["visual_config"]["visual_abstractor"], "model.visual_abstractor"
        heads = config["num_attention_heads"]
        x = self.state[f"{name}.query_embeds"][0]
        for layer in range(config["num_hidden_layers"]):
            at = f"{name}.encoder.layers.{layer}.crossattention"
            x = self._layer_norm(f"{at}.norm1", x, 1e-5)
            read = torch.cat([x, self._layer_norm(f"{at}.normk", seen, 1e-5)])
            own, other = (self.state[f"{at}.attention.{part}_pos_embed"] for part in "qk")
            q = self._linear(f"{at}.attention.query", x + own)
            k = self._linear(f"{at}.attention.key", read + torch.cat([own, other]))
            v = self._linear(f"{at}.attention.value", read)
            q, k, v = (part.view(len(part), heads, -1).transpose(0, 1) for part in (q, k, v))
            weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
            out = (weights @ v).transpose(0, 1).reshape(len(x), -1)
            x = x + self._linear(f"{at}.output.out_proj", out)
            y = self._layer_norm(f"{at}.output.norm2", x, 1e-5)
            mlp = f"{at}.output.mlp"
            y = functional.silu(self._linear(f"{mlp}.w1", y)) * self._linear(f"{mlp}.w3", y)
            x = x + self._linear(f"{mlp}.w2", self._layer_norm(f"{mlp}.ffn_ln", y))
        x = self._linear(f"{name}.visual_fc", x)
        return torch.cat([x, self.state[f"{name}.vit_eos"][0]])

    def _either(self, name: str, x: torch.Tensor, ways: torch.Tensor) -> torch.Tensor:
        """`MultiwayNetwork` around a linear layer."""
        weights = [self.state[f"{name}.multiway.{way}.weight"] for way in (0, 1)]
        return torch.stack([weights[way] @ row for way, row in zip(ways.tolist(), x, strict=True)])

    def _rms(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.raw["rms_norm_eps"])

    def _rms_either(self, name: str, x: torch.Tensor, ways: torch.Tensor) -> torch.Tensor:
        weights = torch.stack([self.state[f"{name}.multiway.{way}.weight"] for way in (0, 1)])
        return weights[ways] * self._rms(x)

    def _language(self, x: torch.Tensor, ways: torch.Tensor) -> torch.Tensor:
        """Logits of a sequence `[rows, hidden]`."""
        heads = self.raw["num_attention_heads"]
        for layer in range(self.raw["num_hidden_layers"]):
            at = f"model.layers.{layer}"
            y = self._rms_either(f"{at}.input_layernorm", x, ways)
            q = y @ self.state[f"{at}.self_attn.q_proj.weight"].T
            k = self._either(f"{at}.self_attn.k_proj", y, ways)
            v = self._either(f"{at}.self_attn.v_proj", y, ways)
            q, k, v = (part.view(len(x), heads, -1).transpose(0, 1) for part in (q, k, v))
            out = functional.scaled_dot_product_attention(
                _rotated(q), _rotated(k), v, is_causal=True
            )
            out = out.transpose(0, 1).reshape(len(x), -1)
            x = x + out @ self.state[f"{at}.self_attn.o_proj.weight"].T
            y = self._rms_either(f"{at}.post_attention_layernorm", x, ways)
            gate = functional.silu(y @ self.state[f"{at}.mlp.gate_proj.weight"].T)
            up = y @ self.state[f"{at}.mlp.up_proj.weight"].T
            x = x + (gate * up) @ self.state[f"{at}.mlp.down_proj.weight"].T
        return (self._rms(x) * self.state["model.norm.weight"]) @ self.state["lm_head.weight"].T


def _rotated(x: torch.Tensor) -> torch.Tensor:
    """Llama's rotary positions, base 10000."""
    half = x.shape[-1] // 2
    power = torch.arange(half) / half
    angles = torch.outer(torch.arange(x.shape[1]).float(), 10000.0**-power).repeat(1, 2)
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return x * angles.cos() + turned * angles.sin()
