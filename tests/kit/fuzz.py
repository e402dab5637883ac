"""Spoilt media files of every format through the media path, counted: `make fuzz`.

Each is an answer or an error with words; a worker that had to be replaced is a fault of ours.
"""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
import soundfile
from PIL import Image

import sensorium.serving.media.image_work  # noqa: F401 - lets Pillow write HEIF
from sensorium.model_adapters.videos import SAMPLERS
from sensorium.serving.media.limits import MediaLimits
from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.media.pool import MediaWorkError, PoolOptions
from sensorium.serving.media.prepared import FrameRule, Recipe, VideoSource
from tests.kit.videos import clip

__all__ = ["Report", "SpoiltFile", "seeds", "spoil_files", "tell"]

_PICTURES = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "JPEG2000", "PPM", "ICO", "TGA",
)  # fmt: skip
_SOUNDS = (
    ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("FLAC", None), ("OGG", "VORBIS"),
    ("OGG", "OPUS"), ("MP3", None), ("AIFF", None), ("CAF", None), ("AU", None),
)  # fmt: skip
_COMPRESSED = (
    ("mp4", "aac"),
    ("webm", "libopus"),
    ("matroska", "pcm_s16le"),
    ("adts", "aac"),
    ("ac3", "ac3"),
)
_CLIPS = (
    ("mp4", "libx264"), ("mov", "mpeg4"), ("webm", "libvpx"), ("webm", "libvpx-vp9"),
    ("matroska", "libx264"), ("avi", "mpeg4"), ("mpegts", "libx264"), ("flv", "flv"),
    ("h264", "libx264"),
)  # fmt: skip
_RATE = 16_000
_FRAMES = 4


@dataclass(frozen=True)
class SpoiltFile:
    """`kind` is image, audio or video, as which the file is sent."""

    kind: str
    form: str
    content: bytes


@dataclass
class Report:
    """How many files were read and how many refused, by kind and format."""

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    replaced: int = 0
    slowest: float = 0.0
    seconds: float = 0.0

    def count(self, outcome: str, kind: str | None = None) -> int:
        """Files of a kind that came to this."""
        found = self.outcomes.items()
        return sum(n for (of, _, what), n in found if what == outcome and kind in (None, of))

    def lines(self) -> list[str]:
        """The figures, format by format."""
        forms = sorted({(kind, form) for kind, form, _ in self.outcomes})
        table = [
            f"{kind:6} {form:18} {self.outcomes[kind, form, 'read']:5} read "
            f"{self.outcomes[kind, form, 'refused']:5} refused"
            for kind, form in forms
        ]
        total = f"{self.outcomes.total()} spoilt files in {self.seconds:.0f} s: "
        counts = f"{self.count('read')} read, {self.count('refused')} refused, "
        ends = f"{self.replaced} workers replaced; the slowest took {self.slowest:.1f} s"
        return [*table, total + counts + ends]


def photo(width: int, height: int, seed: int = 1) -> Image.Image:
    """Soft shapes and fine noise, as a camera gives them."""
    dice = np.random.default_rng(seed)
    shapes = dice.integers(0, 255, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    soft = Image.fromarray(shapes).resize((width, height), Image.Resampling.BICUBIC)
    noisy = np.asarray(soft).astype(int) + dice.normal(0, 3, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def seeds() -> list[SpoiltFile]:
    """Sound files of every format, small."""
    pictures = _pictures()
    sounds = [
        SpoiltFile("audio", f"{form} {subtype or ''}".strip(), _sound(form, subtype))
        for form, subtype in _SOUNDS
    ]
    compressed = [SpoiltFile("audio", " ".join(pair), _compressed(*pair)) for pair in _COMPRESSED]
    clips = [
        SpoiltFile("video", " ".join(pair), clip(12, (32, 24), form=pair[0], codec=pair[1], keys=4))
        for pair in _CLIPS
    ]
    animation = next(file for file in pictures if file.form == "GIF moving")
    return [*pictures, *sounds, *compressed, *clips, SpoiltFile("video", "GIF", animation.content)]


def _pictures() -> list[SpoiltFile]:
    image = photo(96, 64)
    frames = [photo(48, 32, seed) for seed in range(3)]
    exif = Image.Exif()
    exif[0x0112] = 6
    moving = {"save_all": True, "append_images": frames[1:]}
    made = [(form, _file(image, form)) for form in _PICTURES]
    made += [
        ("PNG alpha", _file(image.convert("RGBA"), "PNG")),
        ("PNG palette", _file(image.convert("P"), "PNG")),
        ("PNG 16 bits", _file(image.convert("L").convert("I;16"), "PNG")),
        ("JPEG print", _file(image.convert("CMYK"), "JPEG", exif=exif)),
        ("JPEG progressive", _file(image, "JPEG", progressive=True)),
        ("JPEG large", _file(photo(700, 500), "JPEG", exif=exif)),  # decoded at a half
        ("TIFF fax", _file(image.convert("1"), "TIFF", compression="group4")),
        ("TIFF JPEG", _file(image, "TIFF", compression="jpeg")),
        ("WEBP moving", _file(frames[0], "WEBP", **moving)),
        ("GIF moving", _file(frames[0], "GIF", **moving)),
    ]
    return [SpoiltFile("image", form, content) for form, content in made]


def _file(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _tone() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return (0.4 * np.sin(np.arange(_RATE // 4) / _RATE * 2 * np.pi * 440)).astype(np.float32)


def _sound(form: str, subtype: str | None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, _tone(), _RATE, format=form, subtype=subtype)
    return buffer.getvalue()


def _compressed(form: str, codec: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(_tone()[None], format="fltp", layout="mono")
        frame.rate, frame.time_base = _RATE, Fraction(1, _RATE)
        context = stream.codec_context
        resampler = av.AudioResampler(context.format, context.layout, context.rate)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def spoil_files(count: int, seed: int = 20) -> list[SpoiltFile]:
    """So many spoilt files, of every format in turn."""
    dice, files = random.Random(seed), seeds()
    turns = (files[number % len(files)] for number in range(count))
    return [
        SpoiltFile(file.kind, file.form, _spoilt(dice, file.content, dice.choice(files).content))
        for file in turns
    ]


def _spoilt(dice: random.Random, whole: bytes, other: bytes) -> bytes:
    """A file with bytes changed, cut out, repeated, or joined to another file's end."""
    content, kind = bytearray(whole), dice.randrange(6)
    start = dice.randrange(len(content))
    if kind == 0:
        for _ in range(dice.randint(1, 20)):
            content[dice.randrange(len(content))] = dice.randrange(256)
    elif kind == 1:
        for _ in range(dice.randint(1, 8)):  # sizes and lengths stand at the front
            content[dice.randrange(min(64, len(content)))] = dice.choice([0, 1, 127, 128, 255])
    elif kind == 2:
        del content[start:]
    elif kind == 3:
        del content[start : start + dice.randint(1, 200)]
    elif kind == 4:
        content[start:start] = content[start : start + dice.randint(1, 300)] * dice.randint(1, 5)
    else:
        content = content[:start] + other[-500:]
    return bytes(content)


def _choose(source: VideoSource) -> list[int]:
    return SAMPLERS["uniform"](source.frames, _FRAMES, source.fps or 1.0)


async def tell(files: Sequence[SpoiltFile], recipe: str) -> Report:
    """Bring the files through a media path with two workers; pictures by the recipe."""
    pipeline = MediaPipeline(MediaLimits(cache_bytes=0), PoolOptions(workers=2, seconds=30))
    report = Report()
    # As many at a time as there are workers: what is measured is no waiting.
    turn = asyncio.Semaphore(2)

    async def one(file: SpoiltFile) -> None:
        async with turn:
            began = time.monotonic()
            try:
                await _prepare(pipeline, file, recipe)
                outcome = "read"
            except MediaWorkError as error:
                assert str(error), file.form
                outcome = "refused"
            report.outcomes[file.kind, file.form, outcome] += 1
            report.slowest = max(report.slowest, time.monotonic() - began)

    pipeline.start()
    try:
        await asyncio.gather(*(_prepare(pipeline, file, recipe) for file in seeds()))  # warm
        began = time.monotonic()
        await asyncio.gather(*map(one, files))
        report.seconds = time.monotonic() - began
        for file in seeds():  # whole files are still read
            await _prepare(pipeline, file, recipe)
    finally:
        pipeline.close()
    report.replaced = pipeline.pool.replaced
    return report


async def _prepare(pipeline: MediaPipeline, file: SpoiltFile, recipe: str) -> object:
    if file.kind == "image":
        return await pipeline.picture(file.content, Recipe(recipe))
    if file.kind == "audio":
        return await pipeline.sound(file.content)
    return await pipeline.video(file.content, FrameRule("fuzz", _choose))
