"""Pictures, sounds and clips for tests, drawn on the spot, as data URLs."""

from __future__ import annotations

import base64
import io
import math
from fractions import Fraction

import av
import numpy as np
import soundfile
from PIL import Image, ImageDraw

RED, GREEN, BLUE = (214, 39, 40), (44, 150, 50), (31, 84, 200)
WHITE = (245, 245, 245)
Colour = tuple[int, int, int]


def circle(
    colour: Colour = RED, size: tuple[int, int] = (448, 256), at: tuple[float, float] = (0.5, 0.5)
) -> Image.Image:
    """A circle on white; `at` is its centre as a share of width and height."""
    picture = Image.new("RGB", size, WHITE)
    x, y, radius = size[0] * at[0], size[1] * at[1], size[1] * 0.25
    ImageDraw.Draw(picture).ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    return picture


def image_bytes(picture: Image.Image, kind: str = "PNG") -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def image_url(picture: Image.Image, kind: str = "PNG") -> str:
    """The picture as a data URL."""
    return data_url(f"image/{kind.lower()}", image_bytes(picture, kind))


def data_url(media_type: str, content: bytes) -> str:
    """Any file as a data URL."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def beeps(count: int, rate: int = 16000, pitch: float = 1800.0) -> bytes:
    """A WAV file with so many short high tones."""
    tone = 0.4 * np.sin(2 * math.pi * pitch * np.arange(int(0.12 * rate)) / rate)
    gap = np.zeros(int(0.2 * rate))
    samples = np.concatenate([gap, *(np.concatenate([tone, gap]) for _ in range(count))])
    file = io.BytesIO()
    soundfile.write(file, samples.astype(np.float32), rate, format="WAV")
    return file.getvalue()


def moving_circle(colour: Colour = BLUE, seconds: float = 4.0, rate: int = 4) -> bytes:
    """An MP4 in which a circle moves from left to right on white."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = 448, 256, "yuv420p"
        frames = int(seconds * rate)
        for number in range(frames):
            picture = circle(colour, at=(0.2 + 0.6 * number / (frames - 1), 0.5))
            for packet in stream.encode(av.VideoFrame.from_image(picture)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return file.getvalue()
