"""What LLaVA-VL/LLaVA-NeXT and its kin compute, in plain torch, written apart from the adapter.

Nothing of `sensorium` is imported here. Sources: LLaVA-VL/LLaVA-NeXT (llava/mm_utils.py,
llava/model/llava_arch.py, playground/demo/video_demo.py, playground/demo/interleave_demo.py at
d6e32ab), apple/ml-slowfast-llava (dataset.py, slowfast_llava/llava/model/llava_arch.py),
ShareGPT4Omni/ShareGPT4Video (run.py).
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional

from tests.families.clips import Clip, frames_of
from tests.families.reference import (
    Reference,
    State,
    anyres_crops,
    expand2square,
    unpad_image,
)

__all__ = ["InterleaveReference", "NextReference", "ShareReference", "SlowFastReference"]


class NextReference(Reference):
    """`prepare_inputs_labels_for_multimodal` of LLaVA-NeXT, with the demo's settings.

    `frames`, `mode` and `newline_at` are what the scripts give on the command line, `overwrite` is
    what they change in the config.
    """

    def __init__(
        self,
        checkpoint: Path,
        tower: Path,
        *,
        inside: bool = True,
        frames: int = 32,
        mode: str = "",
        newline_at: str = "",
        sample: str = "fps",
        overwrite: Mapping[str, Any] | None = None,
    ) -> None:
        self.overwrite = dict(overwrite or {})
        super().__init__(checkpoint, tower, inside=inside)
        self.frames = frames
        self.mode = mode or self.raw.get("mm_spatial_pool_mode")
        self.newline_at = newline_at or self.raw.get("mm_newline_position", "one_token")
        self.sample = sample

    def language_model(self, state: State) -> Any:
        """With the config as the script overwrites it."""
        self.raw.update(self.overwrite)
        return super().language_model(state)

    def all_features(self, images: Sequence[bytes]) -> list[torch.Tensor]:
        """Several images are read with `image_aspect_ratio` overwritten by "pad" (OneVision)."""
        still = [image for image in images if not isinstance(image, Clip)]
        padded = len(still) > 1 and "anyres_max" in str(self.raw.get("image_aspect_ratio"))
        found = []
        for image in images:
            if isinstance(image, Clip):
                found.append(self.video(image))
            elif padded:
                square = expand2square(self.picture(image), self.pad_colour())
                features = self._project(self.pixels(square)[None])[0]
                found.append(torch.cat((features, self.line_end()[None])))
            else:
                found.append(self.tiles(self.picture(image)))
        return found

    def picture(self, image: bytes) -> Image.Image:
        """A file as a picture, upright."""
        return ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")

    def line_end(self) -> torch.Tensor:
        """`image_newline`."""
        assert self.newline is not None
        return self.newline

    def tiles(self, picture: Image.Image) -> torch.Tensor:
        """`process_anyres_image` and the "spatial_unpad" branches, `anyres_max_N` among them."""
        edge = self.tower.config.image_size
        (wide, high), crops = anyres_crops(picture, self.raw["image_grid_pinpoints"], edge)
        features = self._project(torch.stack([self.pixels(crop) for crop in crops]))
        side = math.isqrt(features.shape[1])
        grid = features[1:].view(high // edge, wide // edge, side, side, -1)
        grid = grid.permute(4, 0, 2, 1, 3).flatten(1, 2).flatten(2, 3)
        grid = unpad_image(grid, picture.size)
        found = re.match(r"anyres_max_(\d+)", self.raw["image_aspect_ratio"])
        if found:
            rows, columns = grid.shape[1:]
            times = math.sqrt(rows * columns / (int(found[1]) * side**2))
            if times > 1.1:
                size = [int(rows // times), int(columns // times)]
                grid = functional.interpolate(grid[None], size, mode="bilinear")[0]
        ends = self.line_end()[:, None, None].expand(*grid.shape[:-1], 1)
        grid = torch.cat((grid, ends), -1).flatten(1, 2).transpose(0, 1)
        return torch.cat((features[0], grid))

    def indices(self, total: int, fps: float) -> list[int]:
        """`load_video`."""
        chosen = list(range(0, total, round(fps)))
        if len(chosen) > self.frames or self.sample == "uniform":
            return [int(i) for i in np.linspace(0, total - 1, self.frames, dtype=int)]
        return chosen

    def video_pixels(self, clip: bytes) -> torch.Tensor:
        """`image_processor.preprocess(frames)`."""
        frames, fps = frames_of(clip)
        chosen = [Image.fromarray(frames[index]) for index in self.indices(len(frames), fps)]
        return torch.stack([self.pixels(frame) for frame in chosen])

    def video(self, clip: bytes) -> torch.Tensor:
        """`get_2dPool` and where the newlines go."""
        features = self._project(self.video_pixels(clip))
        frames, patches, width = features.shape
        side = math.isqrt(patches)
        grid = features.view(frames, side, side, -1).permute(0, 3, 1, 2)
        if self.mode == "average":
            grid = functional.avg_pool2d(grid, 2)
        elif self.mode == "max":
            grid = functional.max_pool2d(grid, 2)
        else:
            size = [math.ceil(side / 2)] * 2
            grid = functional.interpolate(grid, size=size, mode="bilinear")
        rows = grid.permute(0, 2, 3, 1)
        if self.newline_at == "grid":
            ends = self.line_end().expand(*rows.shape[:2], 1, width)
            return torch.cat((rows, ends), dim=2).reshape(-1, width)
        flat = rows.reshape(-1, width)
        return flat if self.newline_at == "no_token" else torch.cat((flat, self.line_end()[None]))

    def times(self, clip: bytes) -> str:
        """The sentence of `add_time_instruction`."""
        frames, fps = frames_of(clip)
        chosen = self.indices(len(frames), fps)
        located = ",".join(f"{index / fps:.2f}s" for index in chosen)
        return (
            f"The video lasts for {len(frames) / fps:.2f} seconds, and {len(chosen)} frames are "
            f"uniformly sampled from it. These frames are located at {located}.Please answer the "
            "following questions related to this video."
        )


class InterleaveReference(NextReference):
    """The demo: every image and frame by the processor alone, all features, no newline."""

    def all_features(self, images: Sequence[bytes]) -> list[torch.Tensor]:
        """One `[patches, hidden]` an image; a video's frames in a row."""
        found = []
        for image in images:
            if isinstance(image, Clip):
                found.append(self._project(self.video_pixels(image)).flatten(0, 1))
            else:
                found.append(self._project(self.pixels(self.picture(image))[None])[0])
        return found

    def indices(self, total: int, fps: float) -> list[int]:
        """`sample_frames`; as many as there are `<image>` tokens reach the model."""
        interval = total // self.frames
        return [index for index in range(total) if index % interval == 0][: self.frames]


class SlowFastReference(NextReference):
    """`prepare_slowfast` with slowfast-slow_10frms_spatial_1d_max_pool-fast_4x4."""

    def indices(self, total: int, fps: float) -> list[int]:
        """`get_seq_frames`."""
        wanted = min(total, self.frames)
        size = float(total - 1) / wanted
        found = []
        for index in range(wanted):
            start, end = int(np.round(size * index)), int(np.round(size * (index + 1)))
            found.append((start + end) // 2)
        return found

    def video_pixels(self, clip: bytes) -> torch.Tensor:
        """`process_images` with image_aspect_ratio "resize"."""
        frames, fps = frames_of(clip)
        edge = self.tower.config.image_size
        chosen = [Image.fromarray(frames[index]) for index in self.indices(len(frames), fps)]
        return torch.stack([self.pixels(frame.resize((edge, edge))) for frame in chosen])

    def video(self, clip: bytes) -> torch.Tensor:
        """The slow pathway, then the fast one."""
        features = self._project(self.video_pixels(clip))
        frames, patches, width = features.shape
        slow_at = torch.linspace(0, frames, 11).to(torch.int32).tolist()[:10]
        slow = torch.nn.MaxPool1d(2, 2)(features[slow_at].transpose(1, 2)).transpose(1, 2)
        side = math.isqrt(patches)
        grid = features.view(frames, side, side, width).permute(0, 3, 1, 2)
        fast = torch.nn.AdaptiveAvgPool2d((4, 4))(grid).permute(0, 2, 3, 1)
        return torch.cat((slow.reshape(-1, width), fast.reshape(-1, width)))


class ShareReference(NextReference):
    """`run.py`: sixteen frames in one picture, of which the first crop reaches the model."""

    def indices(self, total: int, fps: float) -> list[int]:
        """`get_index`."""
        size = float(total - 1) / self.frames
        return [int(size / 2) + int(np.round(size * index)) for index in range(self.frames)]

    def video(self, clip: bytes) -> torch.Tensor:
        """`create_frame_grid`, `resize_image_grid`, the base image of `process_anyres_image`."""
        frames, fps = frames_of(clip)
        chosen = frames[self.indices(len(frames), fps)]
        count, height, width, _ = chosen.shape
        across = int(np.ceil(np.sqrt(count)))
        band = 50
        grid = np.full(
            (across * (height + band) - band, across * (width + band) - band, 3), 255, np.uint8
        )
        for index, frame in enumerate(chosen):
            top, left = index // across * (height + band), index % across * (width + band)
            grid[top : top + height, left : left + width] = frame
        picture = Image.fromarray(grid)
        longest = max(picture.size)
        if longest > 1920:
            size = tuple(int(edge * (1920 / longest)) for edge in picture.size)
            picture = picture.resize((size[0], size[1]), Image.Resampling.BILINEAR)
        edge = self.tower.config.image_size
        return self._project(self.pixels(picture.resize((edge, edge)))[None])[0]
