"""Images to the square pictures that a tower sees, as the authors' code did with PIL.

Bicubic resizing with PIL's own antialiasing, sizes truncated; transformers 5 resizes by
torchvision, with other pixels. Squares stay 8-bit: scaling and normalising are folded into the
tower. A picture that was decoded smaller than it is gets the shape that its full size would have.
Authors who resized tensors made no whole numbers of them: see `plain_resizing`. Pictures are
arrays `[rows, columns, 3]` here, sizes (width, height).
"""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from sensorium.model_adapters.layouts import AnyresLayout, ViewsLayout
from sensorium.model_adapters.plain_resizing import PLAIN, plain_crop
from sensorium.model_adapters.resampling import (
    Picture,
    Resample,
    bicubic,
    fast_bicubic,
    resized_part,
)
from sensorium.model_adapters.videos import SAMPLERS

if TYPE_CHECKING:
    from sensorium.model_adapters.plan import ImagePlan, Plan

__all__ = [
    "Pixels",
    "bilinear_crop",
    "collage",
    "crop_middle",
    "fit_and_pad",
    "fitted_edges",
    "grid",
    "nearest",
    "pad_and_resize",
    "picture_size",
    "prepare",
    "prepare_frames",
    "resize_and_crop",
    "squash_twice",
    "stacked",
    "tile",
]

# vLLM brings OpenCV.
_HAS_OPENCV = importlib.util.find_spec("cv2") is not None
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
    image: Image.Image | Picture,
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
    picture = np.array(image.convert("RGB")) if isinstance(image, Image.Image) else image
    full = size or (picture.shape[1], picture.shape[0])
    layout = plan.layout(several=several)
    if plan.image.resize in PLAIN:
        return stacked([plain_crop(picture, plan.image.size, plan.image.resize)])
    if isinstance(layout, AnyresLayout):
        squares = tile(picture, layout, full, resample)
    elif plan.aspect(several=several) == "pad":
        squares = [pad_and_resize(picture, plan.image.pad_colour, plan.image.size, resample)]
    elif isinstance(layout, ViewsLayout):
        squares = grid(picture, layout, full, resample)
    elif plan.image.aspect == "square":
        squares = [squash_twice(picture, plan.image.size, full, resample)]
    elif plan.image.aspect == "fit":
        squares = [fit_and_pad(picture, plan.image, full, resample)]
    else:
        squares = [resize_and_crop(picture, plan.image, full, resample)]
    return stacked(squares)


def prepare_frames(frames: Sequence[Image.Image], plan: Plan) -> Pixels:
    """Pixels `[pictures, 3, edge, edge]` of a video's frames, as `prepare` gives them."""
    video, image = plan.video, plan.pixels_of(plan.part_of("video"))
    size = image.size
    if video is not None and video.reducer == "collage":
        frames = [collage(frames)]
    if video is not None and video.reducer == "together":
        frames = [frames[i] for i in SAMPLERS["uniform"](len(frames), video.frames, 1.0)]
    way = "" if video is None else video.size
    if image.resize in PLAIN:
        return stacked([plain_crop(np.asarray(frame), size, image.resize) for frame in frames])
    if way in ("bilinear_crop", "nearest"):
        seen = bilinear_crop if way == "bilinear_crop" else nearest
        return stacked([np.asarray(seen(frame, size)) for frame in frames])
    if way == "squash":
        return stacked([bicubic(np.asarray(frame), (size, size)) for frame in frames])
    return stacked([resize_and_crop(np.asarray(frame), image, frame.size) for frame in frames])


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


def stacked(squares: Sequence[Pixels]) -> Pixels:
    """Squares `[edge, edge, 3]` as one array `[squares, 3, edge, edge]`."""
    rows, columns = squares[0].shape[:2]
    made: Pixels = np.empty((len(squares), 3, rows, columns), squares[0].dtype)
    for place, square in zip(made, squares, strict=True):
        _part(square, place)
    return made


def _part(square: Pixels, place: Pixels) -> None:
    """A square `[edge, edge, 3]` written to `place`, `[3, edge, edge]`."""
    if _HAS_OPENCV:
        import cv2

        # By its vector instructions, a sixth of numpy's time, if the square lies in one piece.
        cv2.split(np.ascontiguousarray(square), list(place))
        return
    for channel in range(3):
        place[channel] = square[..., channel]


def _filled(size: Size, colour: Sequence[int]) -> Picture:
    """A picture of one colour."""
    canvas = np.empty((size[1], size[0], 3), np.uint8)
    # Rows are copied as they are; pixel by pixel takes thirty times as long.
    canvas[:] = np.tile(np.array(colour, np.uint8), (size[0], 1))
    return canvas


def _paste(canvas: Picture, picture: Picture, left: int, top: int) -> None:
    rows, columns = picture.shape[:2]
    canvas[top : top + rows, left : left + columns] = picture


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
    picture: Picture, colour: tuple[int, ...], size: int, resample: Resample = bicubic
) -> Picture:
    """The picture in the middle of a square of `colour` (`expand2square`), resized to `size`.

    What lies far from the picture is plain `colour` and need not be computed. A file of a few
    kilobytes can hold an image of 1x65000 pixels, whose square would take 12 GB: the square of a
    long one is resized a band of rows at a time.
    """
    height, width = picture.shape[:2]
    edge = max(width, height)
    if edge > _LONG_EDGE:
        return _pad_in_bands(picture, colour, size)
    left, top = (edge - width) // 2, (edge - height) // 2
    across, down = _seen(left, width, edge, size), _seen(top, height, edge, size)
    strip = _filled((across.end - across.begin, down.end - down.begin), colour)
    _paste(strip, picture, left - across.begin, top - down.begin)
    square = _filled((size, size), colour)
    made = across.last - across.first, down.last - down.first
    if resample is bicubic:
        # Pillow 13 begins with the columns of a narrow strip, which rounds otherwise; with the rows
        # of a square, as every Pillow did before.
        strip = bicubic(strip, (made[0], strip.shape[0]))
    done = resample(strip, made)
    _paste(square, done, across.first, down.first)
    return square


class _Seen(NamedTuple):
    """A stretch `begin` to `end` of a square's edge that becomes `first` to `last`, exactly."""

    begin: int
    end: int
    first: int
    last: int


def _seen(start: int, length: int, edge: int, size: int) -> _Seen:
    """What is needed of an edge for pixels `start` to `start + length`.

    It begins and ends where an input and an output pixel begin together, so that the rest of the
    edge can be left out without moving a sampling point.
    """
    blocks = math.gcd(edge, size)
    step, made = edge // blocks, size // blocks
    # A bicubic kernel reaches two pixels far, of the output where it shrinks and of the input where
    # it grows; those it is cut off for must be plain.
    margin = math.ceil(4 * max(1.0, edge / size)) + 1
    first = max(0, (start - margin) // step)
    last = min(blocks, -(-(start + length + margin) // step))
    return _Seen(first * step, last * step, first * made, last * made)


def _pad_in_bands(picture: Picture, colour: tuple[int, ...], size: int) -> Picture:
    """Along the rows and then along the columns as PIL does it, and only near the picture."""
    height, width = picture.shape[:2]
    edge = max(width, height)
    left, top = (edge - width) // 2, (edge - height) // 2
    scale = edge / size
    first = max(0, math.floor(left / scale) - 3)
    last = min(size, math.ceil((left + width) / scale) + 3)
    begin = max(0, math.floor((first - 3) * scale))
    end = min(edge, math.ceil((last + 3) * scale))
    narrow = _filled((size, edge), colour)
    for start in range(0, height, _BAND):
        rows = min(_BAND, height - start)
        band = _filled((end - begin, rows), colour)
        _paste(band, picture[start : start + rows], left - begin, 0)
        box = (first * scale - begin, 0, min(last * scale - begin, end - begin), rows)
        _paste(narrow, bicubic(band, (last - first, rows), box), first, top + start)
    return bicubic(narrow, (size, size))


def fit_and_pad(
    picture: Picture, plan: ImagePlan, full: Size, resample: Resample = bicubic
) -> Picture:
    """The picture resized so that its longer edge is the square's, padded with the mean colour.

    deepseek-ai/DeepSeek-VL, deepseek_vl/models/image_processing_vlm.py: no edge below 14 pixels.
    """
    size, longest = plan.size, max(full)
    width, height = (max(int(edge / longest * size), _SHORTEST) for edge in full)
    square = _filled((size, size), plan.pad_colour)
    fitted = resample(picture, (width, height))
    _paste(square, fitted, (size - width) // 2, (size - height) // 2)
    return square


def squash_twice(picture: Picture, size: int, full: Size, resample: Resample = bicubic) -> Picture:
    """The picture squashed to a square of its longer edge, and that resized.

    X-PLUG/mPLUG-Owl, mPLUG-Owl2/mplug_owl2/mm_utils.py (`process_images`). The first square ends at
    8192 pixels: that of a thin file could take gigabytes.
    """
    edge = min(max(full), max(_LONG_EDGE, size))
    return resample(resample(picture, (edge, edge)), (size, size))


def grid(
    picture: Picture, layout: ViewsLayout, full: Size, resample: Resample = bicubic
) -> list[Picture]:
    """The picture resized to a grid of squares, row by row."""
    across, down = layout.tiles(*full)
    canvas = resample(picture, (across * layout.size, down * layout.size))
    return _squares(canvas, layout.size)


def tile(
    picture: Picture, layout: AnyresLayout, full: Size, resample: Resample = bicubic
) -> list[Picture]:
    """The whole picture squeezed into one square, then its tiles, row by row, padded with black."""
    width, height = layout.canvas(*full)
    fitted = resample(picture, layout.fitted(*full))
    canvas = np.zeros((height, width, 3), np.uint8)
    _paste(canvas, fitted, (width - fitted.shape[1]) // 2, (height - fitted.shape[0]) // 2)
    return [resample(picture, (layout.size, layout.size)), *_squares(canvas, layout.size)]


def _squares(canvas: Picture, size: int) -> list[Picture]:
    corners = itertools.product(*(range(0, edge, size) for edge in canvas.shape[:2]))
    return [canvas[top : top + size, left : left + size] for top, left in corners]


def resize_and_crop(
    picture: Picture, plan: ImagePlan, full: Size, resample: Resample = bicubic
) -> Picture:
    """To the tower's square: both edges resized, or the shorter one and a centre crop."""
    if plan.resize == "squash":
        return resample(picture, (plan.size, plan.size))
    return crop_middle(picture, plan.size, full, resample, nearly=resample is fast_bicubic)


def fitted_edges(size: Size, shorter: int) -> Size:
    """A size (width, height) in proportion whose shorter edge is `shorter`."""
    width, height = size
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter


def crop_middle(
    picture: Picture, size: int, full: Size, resample: Resample = bicubic, *, nearly: bool = False
) -> Picture:
    """The middle square of a picture whose shorter edge is resized to `size`.

    `nearly`: only what it shows is resized, which moves it by a fiftieth of a pixel at most.
    """
    target = fitted_edges(full, size)
    left, top = (target[0] - size) // 2, (target[1] - size) // 2
    if max(target) > _LONGEST * size:
        # Only what the crop keeps: the whole of a thin image could take gigabytes.
        # In two steps, as PIL resizes: along the rows, then along the columns.
        height, width = picture.shape[:2]
        across, down = width / target[0], height / target[1]
        columns = (left * across, 0, min((left + size) * across, width), height)
        rows = (0, top * down, size, min((top + size) * down, height))
        return bicubic(bicubic(picture, (size, height), columns), (size, size), rows)
    if nearly:
        return resized_part(picture, target, (left, top, size, size), resample)
    return resample(picture, target)[top : top + size, left : left + size]
