"""What every media worker needs, imported once in the process that they are forked from."""

from __future__ import annotations

import contextlib

import torch

import sensorium.serving.media.image_work
import sensorium.serving.media.work  # noqa: F401

__all__: list[str] = []

# A worker is one of several: each works on its own thread.
torch.set_num_threads(1)
with contextlib.suppress(ImportError):
    import cv2

    cv2.setNumThreads(1)
