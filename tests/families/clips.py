"""Short videos as files, and their frames as the authors' scripts read them.

The authors read with decord or OpenCV; OpenCV reads here, for the reference as for the server, so
that what is compared is which frames are taken and what becomes of them.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Clip", "frames_of", "make_clip"]


class Clip(bytes):
    """The bytes of a video's file."""


@functools.cache
def make_clip(frames: int, fps: float, *, width: int = 96, height: int = 64, seed: int = 0) -> Clip:
    """A video of moving blocks of colour, every frame unlike the last."""
    import cv2

    random = np.random.default_rng(seed)
    colours = random.integers(0, 255, (frames, 4, 6, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        code = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(path), code, fps, (width, height))
        for frame in colours:
            writer.write(cv2.resize(frame, (width, height), interpolation=cv2.INTER_NEAREST))
        writer.release()
        return Clip(path.read_bytes())


def frames_of(clip: bytes) -> tuple[npt.NDArray[np.uint8], float]:
    """All frames `[frames, height, width, 3]` in RGB, and frames a second."""
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        path.write_bytes(clip)
        capture = cv2.VideoCapture(str(path))
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        frames: list[Any] = []
        while True:
            more, frame = capture.read()
            if not more:
                break
            frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        capture.release()
    return np.stack(frames).astype(np.uint8), fps
