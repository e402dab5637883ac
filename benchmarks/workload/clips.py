"""Videos made from a seed: a camera panning over a photograph-like scene."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np

from sensorium.benchmarks.workload.media import MediaFile
from sensorium.benchmarks.workload.photos import draw_photo

__all__ = ["make_clip"]

_RATE = 4


def make_clip(frames: int, size: tuple[int, int], seed: str) -> MediaFile:
    """An H.264 MP4 of so many frames at four a second. Odd sizes lose a pixel: H.264 wants even."""
    width, height = size[0] - size[0] % 2, size[1] - size[1] % 2
    scene = np.asarray(draw_photo((max(2, width), max(2, height)), seed))
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(_RATE))
        stream.width, stream.height, stream.pix_fmt = scene.shape[1], scene.shape[0], "yuv420p"
        for number in range(frames):
            shifted = np.roll(scene, -number * max(1, width // 40), axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shifted), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return MediaFile("video", "mp4", file.getvalue(), frames, f"{frames}@{width}x{height}")
