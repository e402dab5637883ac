"""The fonts that printed words are drawn in: some for training, whole families kept for evaluation.

Only permissively licensed families are listed (SIL Open Font License, Apache-2.0, Bitstream Vera,
and the CC0 Aileron that Pillow carries). They are found on the system, never shipped;
`debian-packages.txt` names the packages.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Final

from PIL import ImageFont

__all__ = ["BUILT_IN", "FontMissingError", "evaluation_fonts", "load_font", "training_fonts"]

BUILT_IN: Final = "built-in"
"""Stands for the Aileron face inside Pillow."""

TRAINING: Final = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSansCondensed-Bold.ttf",
    "OpenSans-Regular.ttf",
    "OpenSans-Bold.ttf",
    "OpenSans-Semibold.ttf",
    "Lato-Regular.ttf",
    "Lato-Bold.ttf",
    "Lato-Black.ttf",
    "Carlito-Regular.ttf",
    "Carlito-Bold.ttf",
    "Roboto-Regular.ttf",
    "Roboto-Bold.ttf",
    "Roboto-Medium.ttf",
    "NotoMono-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "LiberationSans-Bold.ttf",
    "LiberationSerif-Regular.ttf",
    "LiberationSerif-Bold.ttf",
    "Inter-Regular.otf",
    "Inter-Bold.otf",
    BUILT_IN,
)

HELD_OUT: Final = (
    "Cantarell-Regular.otf",
    "Cantarell-Bold.otf",
    "Cabin-Regular.otf",
    "Cabin-Bold.otf",
    "NotoSans-Regular.ttf",
    "NotoSans-Bold.ttf",
    "NotoSerif-Regular.ttf",
    "NotoSerif-Bold.ttf",
)


class FontMissingError(RuntimeError):
    """None of the fonts asked for is installed."""


@lru_cache(maxsize=1)
def _installed() -> dict[str, Path]:
    roots = os.environ.get("SENSORIUM_DEMO_FONTS", "/usr/share/fonts").split(os.pathsep)
    found: dict[str, Path] = {}
    for root in roots:
        for suffix in ("ttf", "otf"):
            for path in sorted(Path(root).rglob(f"*.{suffix}")):
                found.setdefault(path.name, path)
    return found


def _present(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name == BUILT_IN or name in _installed()]


def training_fonts() -> list[str]:
    """Names of the installed training fonts; never empty, since Pillow carries one."""
    return _present(TRAINING)


def evaluation_fonts() -> list[str]:
    """Names of the installed held-out fonts, whose families training never draws.

    Raises FontMissingError when none is installed; the folders searched are those of the
    environment variable SENSORIUM_DEMO_FONTS, else /usr/share/fonts.
    """
    names = _present(HELD_OUT)
    if not names:
        raise FontMissingError(
            f"found none of the held-out fonts ({', '.join(HELD_OUT)}); "
            "install fonts-cantarell, fonts-cabin or fonts-noto-core, "
            "or set SENSORIUM_DEMO_FONTS to the folder that holds them"
        )
    return names


@lru_cache(maxsize=2048)
def load_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """The face `name` at `size` pixels."""
    if name == BUILT_IN:
        face = ImageFont.load_default(size)
        if not isinstance(face, ImageFont.FreeTypeFont):
            raise FontMissingError("this Pillow was built without FreeType; install a usual build")
        return face
    return ImageFont.truetype(str(_installed()[name]), size)
