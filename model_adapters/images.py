"""Images to the square pictures that a tower sees, as the authors' code did with PIL.

Bicubic resizing with PIL's own antialiasing, sizes truncated; transformers 5 resizes by
torchvision, with other pixels. Squares stay 8-bit: scaling and normalising are folded into the
tower. A picture that was decoded smaller than it is gets the shape that its full size would have.
Authors who resized tensors made no whole numbers of them: see `plain_resizing`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorium.model_adapters.layouts import AnyresLayout, ViewsLayout
from sensorium.model_adapters.plain_resizing import PLAIN, plain_crop
from sensorium.model_adapters.resampling import Resample, bicubic
from sensorium.model_adapters.videos import SAMPLERS

if TYPE_CHECKING:
    from sensorium.model_adapters.plan import ImagePlan, Plan

__all__ = [
    "Pixels",
    "bilinear_crop",
    "collage",
    "fit_and_pad",
    "grid",
    "nearest",
    "pad_and_resize",
    "picture_size",
    "prepare",
    "prepare_frames",
    "resize_and_crop",
    "squash_twice",
    "tile",
]

# The longest edge of a square that is padded in one piece; rows of a band; how many squares long an
# image may be resized as a whole.
_LONG_EDGE = 8192
_BAND = 256
_LONGEST = 32
# The shortest edge of a picture that is fitted into a square.
_SHORTEST = 14
# Pixels between the frames of a collage, and along its longer edge.
_WHITE_BAND = 50
_LONGEST_COLLAGE = 1920
# From 0 to 255.
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Size = tuple[int, int]


def prepare(
    image: Image.Image,
    plan: Plan,
    size: Size | None = None,
    resample: Resample = bicubic,
    *,
    several: bool = False,
) -> Pixels:
    """Pixels `[squares, 3, edge, edge]`: one square, or the whole and its tiles.

    They are 8-bit, or floating point where the plan's resizing is plain.

    An alpha channel is dropped, showing the colours below it, as `convert("RGB")` does in the
    authors' code. `size` is the file's (width, height) where `image` was decoded smaller; `several`
    says that it is not alone in its prompt.
    """
    image = image.convert("RGB")
    layout = plan.layout(several=several)
    if plan.image.resize in PLAIN:
        return _stacked([plain_crop(np.asarray(image), plan.image.size, plan.image.resize)])
    if isinstance(layout, AnyresLayout):
        squares = tile(image, layout, size or image.size, resample)
    elif plan.aspect(several=several) == "pad":
        squares = [pad_and_resize(image, plan.image.pad_colour, plan.image.size, resample)]
    elif isinstance(layout, ViewsLayout):
        squares = grid(image, layout, size or image.size, resample)
    elif plan.image.aspect == "square":
        squares = [squash_twice(image, plan.image.size, size or image.size, resample)]
    elif plan.image.aspect == "fit":
        squares = [fit_and_pad(image, plan.image, size or image.size, resample)]
    else:
        squares = [resize_and_crop(image, plan.image, size or image.size, resample)]
    return _stacked(squares)


def prepare_frames(frames: Sequence[Image.Image], plan: Plan) -> Pixels:
    """Pixels `[pictures, 3, edge, edge]` of a video's frames, as `prepare` gives them."""
    video, image = plan.video, plan.pixels_of(plan.part_of("video"))
    size = image.size
    if video is not None and video.reducer == "collage":
        frames = [collage(frames)]
    if video is not None and video.reducer == "together":
        frames = [frames[i] for i in SAMPLERS["uniform"](len(frames), video.frames, 1.0)]
    if image.resize in PLAIN:
        return _stacked([plain_crop(np.asarray(frame), size, image.resize) for frame in frames])
    if video is not None and video.size == "bilinear_crop":
        squares = [bilinear_crop(frame, size) for frame in frames]
    elif video is not None and video.size == "nearest":
        squares = [nearest(frame, size) for frame in frames]
    elif video is not None and video.size == "squash":
        squares = [frame.resize((size, size), Image.Resampling.BICUBIC) for frame in frames]
    else:
        squares = [resize_and_crop(frame, image, frame.size) for frame in frames]
    return _stacked(squares)


def nearest(frame: Image.Image, size: int) -> Image.Image:
    """The frame squashed to a square of some of its pixels, which torch's interpolation chooses.

    mbzuai-oryx/Video-ChatGPT, video_chatgpt/eval/model_utils.py (`load_video`).
    """
    pixels = np.asarray(frame)
    down, across = (
        np.floor(np.arange(size, dtype=np.float32) * (np.float32(edge) / np.float32(size)))
        for edge in pixels.shape[:2]
    )
    return Image.fromarray(pixels[down.astype(int)[:, None], across.astype(int)])


def bilinear_crop(frame: Image.Image, size: int) -> Image.Image:
    """The middle of the frame, its shorter edge resized to 8/7 of `size`.

    RupertLuo/Valley, valley/data/video_transform.py (`resize_clip`, which takes PIL's bilinear
    filter where it is asked for the nearest, and `CenterCrop`): 256 and 224 pixels.
    """
    edge, shorter = size * 8 // 7, min(frame.size)
    width, height = (int(edge * side / shorter) for side in frame.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    if max(width, height) > _LONGEST * size:
        across, down = frame.width / width, frame.height / height
        box = (left * across, top * down, (left + size) * across, (top + size) * down)
        return frame.resize((size, size), Image.Resampling.BILINEAR, box=box)
    resized = frame.resize((width, height), Image.Resampling.BILINEAR)
    return resized.crop((left, top, left + size, top + size))


def collage(frames: Sequence[Image.Image]) -> Image.Image:
    """Frames row by row in a square of as few as hold them, with white bands between.

    ShareGPT4Omni/ShareGPT4Video, run.py (`create_frame_grid`, `resize_image_grid`).
    """
    across = math.ceil(math.sqrt(len(frames)))
    width, height = frames[0].size
    step_x, step_y = width + _WHITE_BAND, height + _WHITE_BAND
    whole = Image.new(
        "RGB", (across * step_x - _WHITE_BAND, across * step_y - _WHITE_BAND), (255, 255, 255)
    )
    for index, frame in enumerate(frames):
        whole.paste(frame, (index % across * step_x, index // across * step_y))
    longest = max(whole.size)
    if longest <= _LONGEST_COLLAGE:
        return whole
    scale = _LONGEST_COLLAGE / longest
    smaller = (int(whole.width * scale), int(whole.height * scale))
    return whole.resize(smaller, Image.Resampling.BILINEAR)


def _stacked(squares: Sequence[Image.Image] | Sequence[Pixels]) -> Pixels:
    pixels = np.stack([np.asarray(square) for square in squares])
    channels_first: Pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    return channels_first


def picture_size(plan: Plan, size: Size) -> Size:
    """In what size a picture of `size` is seen at most, padding not counted."""
    layout = plan.layout()
    if isinstance(layout, AnyresLayout):
        fitted = layout.fitted(*size)
        return max(fitted[0], layout.size), max(fitted[1], layout.size)
    edge = plan.image.size
    if isinstance(layout, ViewsLayout):
        across, down = layout.tiles(*size)
        return across * edge, down * edge
    if plan.image.aspect == "square":
        return max(size), max(size)
    if plan.image.aspect == "fit":
        width, height = (max(int(side / max(size) * edge), _SHORTEST) for side in size)
        return width, height
    if plan.image.aspect == "pad":
        scale = edge / max(size)
    elif plan.image.resize == "squash":
        return edge, edge
    elif plan.image.resize in PLAIN:
        scale = 1.0  # no pixel that is looked at may be another one's
    else:
        scale = edge / min(size)
    return math.ceil(size[0] * scale), math.ceil(size[1] * scale)


def pad_and_resize(
    image: Image.Image, colour: tuple[int, ...], size: int, resample: Resample = bicubic
) -> Image.Image:
    """The image in the middle of a square of `colour` (`expand2square`), resized to `size`.

    A file of a few kilobytes can hold an image of 1x65000 pixels, whose square would take 12 GB.
    The square of a long image is therefore resized a band of rows at a time, along the rows and
    then along the columns as PIL does it, and only near the picture; the rest is plain `colour`.
    """
    width, height = image.size
    edge = max(width, height)
    left, top = (edge - width) // 2, (edge - height) // 2
    if edge <= _LONG_EDGE:
        square = Image.new("RGB", (edge, edge), colour)
        square.paste(image, (left, top))
        return resample(square, (size, size))
    scale = edge / size
    # A bicubic kernel reaches two output pixels far.
    first = max(0, math.floor(left / scale) - 3)
    last = min(size, math.ceil((left + width) / scale) + 3)
    begin = max(0, math.floor((first - 3) * scale))
    end = min(edge, math.ceil((last + 3) * scale))
    narrow = Image.new("RGB", (size, edge), colour)
    for start in range(0, height, _BAND):
        rows = min(_BAND, height - start)
        band = Image.new("RGB", (end - begin, rows), colour)
        band.paste(image.crop((0, start, width, start + rows)), (left - begin, 0))
        box = (first * scale - begin, 0, min(last * scale - begin, end - begin), rows)
        done = band.resize((last - first, rows), Image.Resampling.BICUBIC, box=box)
        narrow.paste(done, (first, top + start))
    return narrow.resize((size, size), Image.Resampling.BICUBIC)


def fit_and_pad(
    image: Image.Image, plan: ImagePlan, full: Size, resample: Resample = bicubic
) -> Image.Image:
    """The image resized so that its longer edge is the square's, padded with the mean colour.

    deepseek-ai/DeepSeek-VL, deepseek_vl/models/image_processing_vlm.py: no edge below 14 pixels.
    """
    size, longest = plan.size, max(full)
    width, height = (max(int(edge / longest * size), _SHORTEST) for edge in full)
    square = Image.new("RGB", (size, size), plan.pad_colour)
    square.paste(resample(image, (width, height)), ((size - width) // 2, (size - height) // 2))
    return square


def squash_twice(
    image: Image.Image, size: int, full: Size, resample: Resample = bicubic
) -> Image.Image:
    """The image squashed to a square of its longer edge, and that resized.

    X-PLUG/mPLUG-Owl, mPLUG-Owl2/mplug_owl2/mm_utils.py (`process_images`). The first square ends at
    8192 pixels: that of a thin file could take gigabytes.
    """
    edge = min(max(full), max(_LONG_EDGE, size))
    return resample(resample(image, (edge, edge)), (size, size))


def grid(
    image: Image.Image, layout: ViewsLayout, full: Size, resample: Resample = bicubic
) -> list[Image.Image]:
    """The image resized to a grid of squares, row by row."""
    across, down = layout.tiles(*full)
    edge = layout.size
    canvas = resample(image, (across * edge, down * edge))
    corners = [(column * edge, row * edge) for row in range(down) for column in range(across)]
    return [canvas.crop((left, top, left + edge, top + edge)) for left, top in corners]


def tile(
    image: Image.Image, layout: AnyresLayout, full: Size, resample: Resample = bicubic
) -> list[Image.Image]:
    """The whole image squeezed into one square, then its tiles, row by row, padded with black."""
    canvas = Image.new("RGB", layout.canvas(*full))
    fitted = resample(image, layout.fitted(*full))
    canvas.paste(fitted, ((canvas.width - fitted.width) // 2, (canvas.height - fitted.height) // 2))
    size = layout.size
    squares = [resample(image, (size, size))]
    for top in range(0, canvas.height, size):
        for left in range(0, canvas.width, size):
            squares.append(canvas.crop((left, top, left + size, top + size)))
    return squares


def resize_and_crop(
    image: Image.Image, plan: ImagePlan, full: Size, resample: Resample = bicubic
) -> Image.Image:
    """To the tower's square: both edges resized, or the shorter one and a centre crop."""
    size = plan.size
    if plan.resize == "squash":
        return resample(image, (size, size))
    width, height = full
    if width <= height:
        target = (size, int(size * height / width))
    else:
        target = (int(size * width / height), size)
    left, top = (target[0] - size) // 2, (target[1] - size) // 2
    if max(target) > _LONGEST * size:
        # Only what the crop keeps: the whole of a thin image could take gigabytes.
        # In two steps, as PIL resizes: along the rows, then along the columns.
        width, height = image.size
        across, down = width / target[0], height / target[1]
        columns = (left * across, 0, min((left + size) * across, width), height)
        rows = (0, top * down, size, min((top + size) * down, height))
        image = image.resize((size, height), Image.Resampling.BICUBIC, box=columns)
        return image.resize((size, size), Image.Resampling.BICUBIC, box=rows)
    image = resample(image, target)
    return image.crop((left, top, left + size, top + size))
