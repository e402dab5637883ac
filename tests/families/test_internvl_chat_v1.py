"""InternVL-Chat V1.0 equals its authors' code; conversation: `conv_vicuna_v1`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from tests.families.proof import LightProof, family_marks
from tests.families.reference import Reference, read_all, read_tokenizer
from tests.families.vila_reference import InternVit

pytestmark = family_marks
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = 336


class InternVlChatReference(Reference):
    """LLaVA's code with the tower that clip_encoder.py of internvl_chat_llava makes."""

    def __init__(self, checkpoint: Path, tower: Path) -> None:
        self.raw: dict[str, Any] = json.loads((checkpoint / "config.json").read_text())
        state = read_all(checkpoint)
        vision = json.loads((tower / "config.json").read_text())
        self.siglip = False
        self.tokenizer = read_tokenizer(checkpoint)
        self.lm = self.language_model(state)
        self.tower = InternVit(vision, _interpolated(read_all(tower), SIZE // vision["patch_size"]))
        prefix = "model.mm_projector."
        self.projector = {
            name.removeprefix(prefix): value
            for name, value in state.items()
            if name.startswith(prefix)
        }
        self.newline = None

    def pad_colour(self) -> tuple[int, ...]:
        """The mean colour, truncated."""
        return tuple(int(x * 255) for x in MEAN)

    def pixels(self, picture: Image.Image) -> torch.Tensor:
        """`CLIPImageProcessor` at 336 pixels, for a square."""
        levels = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        scaled = torch.from_numpy(levels.astype(np.float32) / 255)
        return ((scaled - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """The layer that the config names, without the class token."""
        hidden = self.tower(pixels, output_hidden_states=True).hidden_states
        return hidden[self.raw["mm_vision_select_layer"]][:, 1:]


def _interpolated(state: dict[str, torch.Tensor], grid: int) -> dict[str, torch.Tensor]:
    """`InternVisionEmbeddings._get_pos_embed`."""
    table = state["embeddings.position_embedding"]
    edge = math.isqrt(table.shape[1] - 1)
    square = table[:, 1:].reshape(1, edge, edge, -1).permute(0, 3, 1, 2)
    wide = functional.interpolate(square, size=(grid, grid), mode="bicubic", align_corners=False)
    places = torch.cat([table[:, :1], wide.flatten(2).transpose(1, 2)], dim=1)
    return {**state, "embeddings.position_embedding": places}


class TestInternVlChat(LightProof):
    """A tower of another size than its pictures, 576 tokens each."""

    checkpoint = "internvl-chat-v1"
    tower = "../InternViT-6B-tiny"
    options = {"max_model_len": 2048}  # noqa: RUF012
    prompt = (
        "A chat between a curious user and an artificial intelligence assistant. The assistant "
        "gives helpful, detailed, and polite answers to the user's questions. USER: {} ASSISTANT:"
    )

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The authors' code."""
        return InternVlChatReference(checkpoint, (checkpoint / cls.tower).resolve())
