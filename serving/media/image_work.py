"""An image file to pixels, in a worker: opened, measured, decoded, turned upright, made to fit.

The file's own size is known before a pixel is decoded. Where the model's squares are much smaller
than a JPEG, libjpeg decodes it at a half, a quarter or an eighth, which costs less than the whole;
that, and a faster resampler, is left out where `exact` is asked for.
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
from PIL import Image, ImageCms, ImageOps

from sensorium.model_adapters import images
from sensorium.model_adapters.plan import Plan
from sensorium.model_adapters.resampling import bicubic, fast_bicubic
from sensorium.serving.media.fitting import Fit, read_fit
from sensorium.serving.media.work import MediaRefusedError

__all__ = ["FORMATS", "image_job"]

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
# A picture is decoded at no less than this many times the size that it is needed in.
_GAP = 1.5


def image_job(header: dict[str, Any], content: bytes) -> tuple[dict[str, Any], Any]:
    """Decode `content`.

    `header` holds `max_pixels`, `exact`, and `recipe`: the plan of a composed model as JSON, whose
    answer is `[squares, 3, size, size]` (`shape` and `dtype`, uint8 or float32, in its header).
    Without one, or with a `Fit` in its place, `mode` and `background` are as vLLM's loader takes
    them and the answer is the pixels of one image (`mode`, and `drawn`, how large it is). `size` is
    always the upright file's. Raises MediaRefusedError.
    """
    began = time.perf_counter()
    rule = _rule(header["recipe"]) if header.get("recipe") else None
    plan = rule if isinstance(rule, Plan) else None
    exact = bool(header["exact"])
    image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
    size = _upright_size(image)
    if size[0] * size[1] > header["max_pixels"]:
        raise MediaRefusedError(
            f"it has {size[0]}x{size[1]} pixels, {size[0] * size[1]:,} in all; "
            f"at most {header['max_pixels']:,} are taken: send it smaller"
        )
    fitted = rule.target(size) if isinstance(rule, Fit) else None
    wanted = images.picture_size(plan, size) if plan is not None else fitted
    if wanted is not None and not exact:
        _decode_small(image, wanted, size)
    image = _upright(image)
    decoded = time.perf_counter()
    pixels: Any
    if plan is None:
        image = in_mode(image, header.get("mode"), tuple(header["background"]))
        if fitted is not None and image.mode == "RGB":
            image = fast_bicubic(image, fitted)
        answer, pixels = {"mode": image.mode, "drawn": image.size}, image.tobytes()
    else:
        image = in_mode(image, None, ())
        pixels = images.prepare(image, plan, size, bicubic if exact else fast_bicubic)
        answer = {"shape": pixels.shape, "dtype": pixels.dtype.name}
    times = {"decode": decoded - began, "prepare": time.perf_counter() - decoded}
    milliseconds = {stage: round(1000 * seconds, 3) for stage, seconds in times.items()}
    return {**answer, "size": size, "milliseconds": milliseconds}, pixels


@functools.lru_cache(maxsize=64)
def _rule(recipe: str) -> Plan | Fit:
    return read_fit(recipe) or Plan.from_dict(json.loads(recipe))


def _upright_size(image: Image.Image) -> tuple[int, int]:
    turned = False
    with contextlib.suppress(Exception):  # what cannot be read says nothing
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else image.size


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    with contextlib.suppress(Exception):  # a broken EXIF block is no reason to refuse the picture
        image = ImageOps.exif_transpose(image)
    return image


def _decode_small(image: Image.Image, wanted: tuple[int, int], size: tuple[int, int]) -> None:
    """Let libjpeg leave out what a picture `wanted` so large could not show."""
    if image.format not in ("JPEG", "MPO") or image.mode not in ("RGB", "L"):
        return
    if image.size != size:
        wanted = wanted[1], wanted[0]
    image.draft(image.mode, (int(_GAP * wanted[0]) + 1, int(_GAP * wanted[1]) + 1))


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
