"""What Valley's code computes, in plain torch, written apart from the adapter.

Nothing of `sensorium` is imported here. Source: RupertLuo/Valley (valley/model/valley_model.py,
valley/util/data_util.py, valley/data/video_transform.py, valley/serve/model_worker.py,
valley/train/train.py and pyproject.toml for the tokenizer).
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from tests.families.clips import Clip, frames_of
from tests.families.reference import (
    Reference,
    State,
    load_vision,
    read_all,
    read_image_processor,
)
from tests.families.slow_tokenizer import SlowTokenizer

__all__ = ["ValleyReference"]

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_FRAMES = 8


class ValleyReference(Reference):
    """`completion`; `<video>` in a prompt stands for the authors' whole replacement."""

    def __init__(self, checkpoint: Path, tower: Path) -> None:
        self.raw: dict[str, Any] = json.loads((checkpoint / "config.json").read_text())
        state = read_all(checkpoint)
        self.slow = SlowTokenizer(checkpoint)
        self.lm = _llama(self.raw, state)
        config = CLIPVisionConfig.from_pretrained(tower, attn_implementation="eager")
        self.tower = CLIPVisionModel(config).eval()
        prefix = "model.vision_tower."
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        load_vision(self.tower, own)
        self.weight = state["model.mm_projector.weight"]
        self.bias = state["model.mm_projector.bias"]
        self.patches = (config.image_size // config.patch_size) ** 2
        self.edge = config.image_size
        self.processor = read_image_processor(tower, siglip=False)

    def pieces(self, prompt: str) -> list[list[int]]:
        """The ids before and after each run of placeholder tokens."""
        placeholders = [self.slow.added[token] for token in ("<im_patch>", "<vi_frame>")]
        runs = itertools.groupby(self.ids(prompt), lambda number: number in placeholders)
        return [list(run) for inside, run in runs if not inside]

    def ids(self, prompt: str) -> list[int]:
        """The prompt's ids, every placeholder token among them."""
        for name, frames in (("<image>", 1), ("<video>", _FRAMES)):
            block = "<im_start>" + "<im_patch>" * self.patches + "<im_end>"
            block += "<vi_start>" + "<vi_frame>" * frames + "<vi_end>"
            prompt = prompt.replace(name, block)
        [found] = self.slow.pieces(prompt)
        return found

    def prompt_length(self, prompt: str, images: Sequence[bytes] = ()) -> int:
        """Tokens of the prompt."""
        return len(self.ids(prompt))

    def all_features(self, images: Sequence[bytes]) -> list[torch.Tensor]:
        """Every frame's features, projected, `[frames, 1 + patches, hidden]`."""
        return [
            self._see(self._video(item) if isinstance(item, Clip) else self._image(item))
            for item in images
        ]

    def _embed(self, prompt: str, features: list[torch.Tensor]) -> torch.Tensor:
        """`forward`: patches after `<im_start>`, class tokens after `<vi_start>`."""
        ids = torch.tensor(self.ids(prompt))
        embedded = self.lm.get_input_embeddings()(ids).clone()
        begin, frame = (self.slow.added[token] for token in ("<im_start>", "<vi_start>"))
        for video, of_patches, of_frames in zip(
            features, torch.where(ids == begin)[0], torch.where(ids == frame)[0], strict=True
        ):
            first, last = int(of_patches) + 1, int(of_frames) + 1
            embedded[first : first + self.patches] = torch.mean(video[:, 1:, :], dim=0)
            embedded[last : last + len(video)] = video[:, 0, :]
        return embedded[None]

    def _video(self, clip: bytes) -> torch.Tensor:
        frames, _ = frames_of(clip)
        chosen = np.linspace(0, len(frames) - 1, _FRAMES).astype(np.int_)
        squares = [self._square(Image.fromarray(frames[index])) for index in chosen]
        pixels = torch.tensor(np.stack(squares)).float().div(255).permute(0, 3, 1, 2)
        return (pixels - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_STD)[:, None, None]

    def _image(self, image: bytes) -> torch.Tensor:
        """`model_worker.py`: the tower's own processor, one frame."""
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")
        return self.pixels(picture)[None]

    def _see(self, pixels: torch.Tensor) -> torch.Tensor:
        layer = self.raw["mm_vision_select_layer"]
        hidden = self.tower(pixels, output_hidden_states=True).hidden_states[layer]
        return functional.linear(hidden, self.weight, self.bias)

    def _square(self, frame: Image.Image) -> Any:
        """`Resize(256)` and `CenterCrop(224)`, as large as this tower's."""
        size = self.edge // 7 * 8
        width, height = frame.size
        if width < height:
            wide, high = size, int(size * height / width)
        else:
            wide, high = int(size * width / height), size
        resized = np.asarray(frame.resize((wide, high), Image.Resampling.BILINEAR))
        left, top = round((wide - self.edge) / 2.0), round((high - self.edge) / 2.0)
        return resized[top : top + self.edge, left : left + self.edge]


def _llama(raw: dict[str, Any], state: State) -> Any:
    own = {
        name: value
        for name, value in state.items()
        if not name.startswith(("model.mm_projector.", "model.vision_tower."))
    }
    dropped = ("architectures", "model_type", "torch_dtype", "transformers_version")
    fields = {
        key: value for key, value in raw.items() if not key.startswith("mm_") and key not in dropped
    }
    model = LlamaForCausalLM(LlamaConfig(**fields, attn_implementation="eager")).eval()
    model.load_state_dict(own)
    return model
