"""An image file to pixels, in a worker: opened, measured, decoded, turned upright, made to fit.

The file's own size is known before a pixel is decoded. A JPEG that is much larger than the model's
squares may be decoded smaller (`reduction.py`); that, and a faster resampler, is left out where
`exact` is asked for.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from sensorium.model_adapters import images
from sensorium.model_adapters.picture_rule import PictureRule
from sensorium.model_adapters.picture_rules import read_rule
from sensorium.model_adapters.plan import Plan
from sensorium.model_adapters.resampling import bicubic, fast_bicubic
from sensorium.serving.media.fitting import Fit, read_fit
from sensorium.serving.media.jpeg import decode_jpeg
from sensorium.serving.media.reduction import decode_reduced
from sensorium.serving.media.work import MediaRefusedError

__all__ = ["FORMATS", "decode_job", "image_job"]

# The decoders that run here are Pillow's own; none starts another program.
_TAKEN = (
    "AVIF", "BMP", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "QOI", "TGA",
    "TIFF", "WEBP",
)  # fmt: skip
Image.init()
with contextlib.suppress(ImportError):  # photos of phones, where the library for them is installed
    importlib.import_module("pillow_heif").register_heif_opener()
FORMATS = tuple(name for name in _TAKEN if name in Image.OPEN)
# The pixel check is ours, before decoding; Pillow's own one warns first.
Image.MAX_IMAGE_PIXELS = None
# By EXIF's orientation, as PIL's `ImageOps.exif_transpose` does.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}
# Modes with a byte for each letter, that need no palette or colour profile.
_PLAIN, _MOST_BANDS = {"L", "LA", "RGB", "RGBA"}, 4


def image_job(header: dict[str, Any], content: bytes) -> tuple[dict[str, Any], Any]:
    """Decode `content`.

    `header` holds `max_pixels`, `exact`, and `recipe`: the plan of a composed model as JSON, or a
    `PictureRule`, whose answer is `[squares, 3, rows, columns]` (`shape` and `dtype`, uint8 or
    float32, in its header). Without one, or with a `Fit` in its place, the answer is the pixels of
    one image (`mode`, and `drawn`, how large it is). `mode` and `background` are as vLLM's loader
    takes them; a plan does without. `size` is always the upright file's. With `drawn`, `content`
    are the pixels from `decode_job`. Raises MediaRefusedError.
    """
    began = time.perf_counter()
    rule = _rule(header["recipe"]) if header.get("recipe") else None
    exact = bool(header["exact"])
    image, turn, size = _opened(header, content)
    wanted = _wanted(rule, size)
    picture = None
    if not exact:
        stored = wanted if wanted is None or image.size == size else wanted[::-1]
        found = _decoded(image, content, stored, rule)
        picture, image = (found, image) if isinstance(found, np.ndarray) else (None, found)
    if picture is not None and turn is not None:
        picture = np.array(Image.fromarray(picture).transpose(turn))
    elif picture is None:
        image.load()
        image = image.transpose(turn) if turn is not None else image
    decoded = time.perf_counter()
    if isinstance(rule, Plan | PictureRule):
        pixels = _squares(rule, picture, image, header, size)
        answer = {"shape": pixels.shape, "dtype": pixels.dtype.name}
    else:
        pixels, answer = _drawn(picture, image, header, wanted)
    times = {"decode": decoded - began, "prepare": time.perf_counter() - decoded}
    milliseconds = {stage: round(1000 * seconds, 3) for stage, seconds in times.items()}
    return {**answer, "size": size, "milliseconds": milliseconds}, pixels


def decode_job(header: dict[str, Any], content: bytes) -> tuple[dict[str, Any], Any]:
    """Decode `content`, for `image_job` to go on from.

    `header` holds `max_pixels` and `most`, the bytes of pixels that can be kept. The answer has
    `drawn`, what `image_job` is given with the pixels; None and no pixels where it must read the
    file: where it is too large, and where there is more to a picture than its pixels.
    """
    began = time.perf_counter()
    image, turn, size = _opened(header, content)
    pixels, drawn = b"", None
    if size[0] * size[1] * _MOST_BANDS <= header["most"]:
        image.load()
        if image.mode in _PLAIN and "transparency" not in image.info:
            image = image.transpose(turn) if turn is not None else image
            pixels, drawn = image.tobytes(), [image.mode, size]
    spent = round(1000 * (time.perf_counter() - began), 3)
    return {"drawn": drawn, "size": size, "milliseconds": {"decode": spent}}, pixels


def _opened(
    header: dict[str, Any], content: bytes
) -> tuple[Image.Image, Image.Transpose | None, tuple[int, int]]:
    """A file whose header was read, what brings it upright, and its size then."""
    if "drawn" in header:
        mode, size = header["drawn"]
        image = Image.frombuffer(mode, tuple(size), content, "raw", mode, 0, 1)
    else:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    turn = _turn(image)
    size = (image.height, image.width) if turn in _ON_ITS_SIDE else image.size
    if size[0] * size[1] > header["max_pixels"]:
        raise MediaRefusedError(
            f"it has {size[0]}x{size[1]} pixels, {size[0] * size[1]:,} in all; "
            f"at most {header['max_pixels']:,} are taken: send it smaller"
        )
    return image, turn, size


def _decoded(
    image: Image.Image,
    content: bytes,
    wanted: tuple[int, int] | None,
    rule: Plan | Fit | PictureRule | None,
) -> npt.NDArray[np.uint8] | Image.Image:
    """The picture as it is stored, perhaps smaller; Pillow's may have to be loaded yet."""
    if wanted is not None:
        padded = isinstance(rule, Plan) and rule.image.aspect == "pad"
        smaller = decode_reduced(image, content, wanted, padded=padded)
        if smaller is not None:
            return smaller
    whole = decode_jpeg(image, content)
    return image if whole is None else whole


def _wanted(rule: Plan | Fit | PictureRule | None, size: tuple[int, int]) -> tuple[int, int] | None:
    """In what size a picture of `size` is seen; None where it is left as it is."""
    if isinstance(rule, Plan):
        return images.picture_size(rule, size)
    if isinstance(rule, PictureRule):
        return rule.seen(size)
    return rule.target(size) if rule is not None else None


def _squares(
    rule: Plan | PictureRule,
    picture: npt.NDArray[np.uint8] | None,
    image: Image.Image,
    header: dict[str, Any],
    size: tuple[int, int],
) -> images.Pixels:
    """What a tower sees, `[squares, 3, size, size]`; `size` is the upright file's."""
    if isinstance(rule, Plan):
        given = in_mode(image, None, ()) if picture is None else picture
        return images.prepare(given, rule, size, bicubic if header["exact"] else fast_bicubic)
    mode = header.get("mode")
    if picture is None or mode not in (None, "RGB"):
        whole = image if picture is None else Image.fromarray(picture)
        picture = np.array(in_mode(whole, mode, tuple(header["background"])).convert("RGB"))
    prepare = rule.prepare if header["exact"] else rule.prepare_nearly
    return prepare(picture, size)


def _drawn(
    picture: npt.NDArray[np.uint8] | None,
    image: Image.Image,
    header: dict[str, Any],
    fitted: tuple[int, int] | None,
) -> tuple[Any, dict[str, Any]]:
    """One image in the mode asked for and, where it is to fit, in that size; and what it is."""
    if picture is None or header.get("mode") not in (None, "RGB"):
        whole = image if picture is None else Image.fromarray(picture)
        image = in_mode(whole, header.get("mode"), tuple(header["background"]))
        if fitted is None or image.mode != "RGB":
            return image.tobytes(), {"mode": image.mode, "drawn": image.size}
        picture = np.array(image)
    if fitted is not None:
        picture = fast_bicubic(picture, fitted)
    pixels = np.ascontiguousarray(picture)
    return pixels, {"mode": "RGB", "drawn": (pixels.shape[1], pixels.shape[0])}


@functools.lru_cache(maxsize=64)
def _rule(recipe: str) -> Plan | Fit | PictureRule:
    return read_fit(recipe) or read_rule(recipe) or Plan.from_dict(json.loads(recipe))


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What brings it upright, by its EXIF (or XMP) orientation."""
    with contextlib.suppress(Exception):  # what cannot be read says nothing
        return _TURNS.get(image.getexif().get(0x0112, 1))
    return None


def in_mode(image: Image.Image, mode: str | None, background: tuple[int, ...]) -> Image.Image:
    """The image in `mode` (None: its own), with what shows through laid over `background`."""
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow would clip: every pixel above 255 of 65535 becomes white.
        image = Image.fromarray((np.asarray(image, dtype=np.uint32) >> 8).astype(np.uint8))
    if image.mode == "CMYK":
        image = _from_cmyk(image)
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if mode is None or image.mode == mode:
        return image
    if mode == "RGB" and (image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info):
        alpha = image.convert("RGBA")
        image = Image.new("RGB", alpha.size, background)
        image.paste(alpha, mask=alpha.getchannel("A"))
        return image
    return image.convert(mode)


def _from_cmyk(image: Image.Image) -> Image.Image:
    """By its own profile where it has one: without, printed colours come out far too bright."""
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            done = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError):
            done = None
        if done is not None:
            return done
    return image.convert("RGB")
