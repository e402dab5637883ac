"""What Video-LLaVA's code computes, in plain torch, written apart from the adapter.

Nothing of `sensorium` is imported here. Source: PKU-YuanGroup/Video-LLaVA (videollava/serve/cli.py,
videollava/mm_utils.py, videollava/model/llava_arch.py,
videollava/model/multimodal_encoder/languagebind: __init__.py, image/processing_image.py,
video/processing_video.py, video/modeling_video.py), with torchvision 0.15.2, and
facebookresearch/pytorchvideo (pytorchvideo/transforms/functional.py, `short_side_scale`). Left out
is what the authors' transform for videos does by chance: to mirror one video in two.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional
from torchvision import transforms

from tests.families.clips import Clip, frames_of
from tests.families.reference import Reference, State, read_all, read_tokenizer

__all__ = ["VideoLlavaReference"]

_MEAN = torch.tensor((0.48145466, 0.4578275, 0.40821073))
_STD = torch.tensor((0.26862954, 0.26130258, 0.27577711))
_PROJECTOR = "model.mm_projector."
_TOWERS = ("model.image_tower.", "model.video_tower.")


class VideoLlavaReference(Reference):
    """`cli.py`; `<video>` in a prompt stands for as many `<image>` as there are frames.

    The towers are those of the repositories that the config names, beside the checkpoint.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.raw: dict[str, Any] = json.loads((checkpoint / "config.json").read_text())
        state = read_all(checkpoint)
        self.tokenizer = read_tokenizer(checkpoint)
        text = {name: value for name, value in state.items() if not name.startswith(_TOWERS)}
        self.lm = self.language_model(text)
        self.lm.resize_token_embeddings(len(self.tokenizer))
        self.projector = {
            name.removeprefix(_PROJECTOR): value
            for name, value in state.items()
            if name.startswith(_PROJECTOR)
        }
        layer = self.raw["mm_vision_select_layer"]
        self.of_images, self.of_videos = (
            LanguageBindTower(checkpoint.parent / Path(self.raw[key]).name, layer)
            for key in ("mm_image_tower", "mm_video_tower")
        )

    def pieces(self, prompt: str) -> list[list[int]]:
        """A video is a row of images."""
        return super().pieces(prompt.replace("<video>", "<image>" * self.of_videos.frames))

    def all_features(self, images: Sequence[bytes]) -> list[torch.Tensor]:
        """Tokens of each image and of each frame, `[tokens, hidden]`."""
        found: list[torch.Tensor] = []
        for item in images:
            if isinstance(item, Clip):
                found += self._project(self.of_videos(self._video(item)))
            else:
                found += self._project(self.of_images(self._image(item))[:, 1:])
        return found

    def _project(self, features: torch.Tensor) -> torch.Tensor:
        x = _linear(self.projector, "0", features)
        return _linear(self.projector, "2", functional.gelu(x))

    def _image(self, image: bytes) -> torch.Tensor:
        """`get_image_transform`, as large as this tower's."""
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")
        edge = self.of_images.edge
        transform = transforms.Compose(
            [
                transforms.ToTensor(),
                # 0.15.2 does not antialias tensors unless it is told to.
                transforms.Resize(edge, transforms.InterpolationMode.BICUBIC, antialias=False),
                transforms.CenterCrop(edge),
                transforms.Normalize(_MEAN, _STD),
            ]
        )
        return transform(picture)[None]

    def _video(self, clip: bytes) -> torch.Tensor:
        """`load_and_transform_video`: `[frames, 3, edge, edge]`."""
        frames, _ = frames_of(clip)
        chosen = np.linspace(0, len(frames) - 1, self.of_videos.frames, dtype=int)
        video = torch.from_numpy(frames[chosen]).permute(3, 0, 1, 2) / 255.0
        video = (video - _MEAN[:, None, None, None]) / _STD[:, None, None, None]
        edge = self.of_videos.edge
        height, width = video.shape[2:]
        if width < height:
            size = math.floor((float(height) / width) * edge), edge
        else:
            size = edge, math.floor((float(width) / height) * edge)
        video = functional.interpolate(video, size=size, mode="bilinear", align_corners=False)
        top, left = (round((side - edge) / 2.0) for side in size)
        return video[:, :, top : top + edge, left : left + edge].transpose(0, 1)


class LanguageBindTower:
    """`CLIPVisionTransformer`, of images and of videos: a hidden state of one clip's frames."""

    def __init__(self, folder: Path, layer: int) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())[
            "vision_config"
        ]
        assert self.config["hidden_act"] == "gelu"
        prefix = "vision_model."
        self.state: State = {
            name.removeprefix(prefix): value
            for name, value in read_all(folder).items()
            if name.startswith(prefix)
        }
        self.frames: int = self.config["num_frames"]
        self.edge: int = self.config["image_size"]
        self.layers = self.config["num_hidden_layers"] + 1 + layer

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[frames, 3, edge, edge]` to `[frames, 1 + patches, width]`."""
        state, patch = self.state, self.config["patch_size"]
        x = functional.conv2d(pixels, state["embeddings.patch_embedding.weight"], stride=patch)
        x = x.flatten(2).transpose(1, 2)
        first = state["embeddings.class_embedding"].expand(len(x), 1, -1)
        x = torch.cat([first, x], dim=1) + state["embeddings.position_embedding.weight"]
        x = _norm(state, "pre_layrnorm", x)
        for index in range(self.layers):
            x = self._layer(f"encoder.layers.{index}.", x)
        return x

    def _layer(self, at: str, x: torch.Tensor) -> torch.Tensor:
        state = self.state
        if self.config["add_time_attn"]:
            x = x.transpose(0, 1)  # a row is a batch, its frames the sequence
            x = x + state[f"{at}temporal_embedding"]
            normed = _norm(state, f"{at}temporal_layer_norm1", x)
            x = (x + self._attention(f"{at}temporal_attn.", normed)).transpose(0, 1)
        x = x + self._attention(f"{at}self_attn.", _norm(state, f"{at}layer_norm1", x))
        inner = _linear(state, f"{at}mlp.fc1", _norm(state, f"{at}layer_norm2", x))
        return x + _linear(state, f"{at}mlp.fc2", functional.gelu(inner))

    def _attention(self, at: str, x: torch.Tensor) -> torch.Tensor:
        heads = self.config["num_attention_heads"]
        q, k, v = (
            _linear(self.state, f"{at}{part}_proj", x).unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in "qkv"
        )
        weights = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, dim=-1)
        mixed = (weights @ v).transpose(1, 2).flatten(2)
        return _linear(self.state, f"{at}out_proj", mixed)


def _linear(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def _norm(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    weight = state[f"{name}.weight"]
    return functional.layer_norm(x, weight.shape, weight, state[f"{name}.bias"], 1e-5)
