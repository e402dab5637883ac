"""What a soak sends: good media and bad ones, new ones and such as were sent before."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sensorium.benchmarks.workload.clips import make_clip
from sensorium.benchmarks.workload.media import MediaFile
from sensorium.benchmarks.workload.photos import draw_photo, encode_photo
from sensorium.benchmarks.workload.sounds import make_sound

__all__ = ["Item", "Items"]

_SIZES = ((640, 480), (1280, 720), (300, 900), (1600, 1200))
# An image of 60,000 x 60,000 pixels in its header, and nothing after it.
_BOMB = bytes.fromhex("89504e470d0a1a0a0000000d494844520000ea600000ea600802000000") + bytes(40)
_SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"


@dataclass(frozen=True)
class Item:
    """A content part, what it is called in the counts, and whether it should be answered."""

    name: str
    part: dict[str, Any]
    good: bool


class Items:
    """Draws items of the kinds that the model takes; the same seed draws the same."""

    def __init__(self, kinds: set[str], seed: int = 0) -> None:
        self._dice = random.Random(seed)
        pictures = [draw_photo(size, f"{seed}/{size}") for size in _SIZES if "image" in kinds]
        self._photos = [
            encode_photo(picture, kind) for picture in pictures for kind in ("jpeg", "png", "webp")
        ]
        self._sounds = [make_sound(seconds, "wav", seed) for seconds in (1.0, 2.0, 5.0)]
        self._clips = [make_clip(12, (320, 240), f"{seed}/clip")] if "video" in kinds else []
        draws: dict[str, tuple[Callable[[], Item], ...]] = {
            "image": (self._picture, self._picture, self._old_picture, self._bad_picture),
            "audio": (self._sound, self._bad_sound),
            "video": (self._clip, self._bad_clip),
        }
        self._draws = [draw for kind in sorted(kinds) for draw in draws.get(kind, ())]

    def draw(self) -> Item:
        """The next one; a text where the model takes no media."""
        if not self._draws:
            return Item("text", {"type": "text", "text": str(self._dice.random())}, good=True)
        return self._dice.choice(self._draws)()

    def _picture(self) -> Item:
        return _item("new picture", self._new(self._dice.choice(self._photos)))

    def _old_picture(self) -> Item:
        photo = self._dice.choice(self._photos)
        return _item("old picture", (photo, photo.content))

    def _sound(self) -> Item:
        return _item("new sound", self._new(self._dice.choice(self._sounds)))

    def _clip(self) -> Item:
        return _item("new clip", self._new(self._dice.choice(self._clips)))

    def _bad_picture(self) -> Item:
        photo = self._dice.choice(self._photos)
        content = self._dice.choice([b"", b"no picture", _SVG, _BOMB, photo.content[:900]])
        return _item("bad picture", (photo, content), good=False)

    def _bad_sound(self) -> Item:
        sound = self._dice.choice(self._sounds)
        content = self._dice.choice([b"no sound", sound.content[:20]])
        return _item("bad sound", (sound, content), good=False)

    def _bad_clip(self) -> Item:
        clip = self._dice.choice(self._clips)
        content = self._dice.choice([b"no clip", clip.content[: len(clip.content) // 2]])
        return _item("bad clip", (clip, content), good=False)

    def _new(self, file: MediaFile) -> tuple[MediaFile, bytes]:
        """The file with something at its end that readers skip, so that no cache knows it."""
        mark = self._dice.randbytes(8)
        return file, file.content + (16).to_bytes(4, "big") + b"free" + mark


def _item(name: str, medium: tuple[MediaFile, bytes], *, good: bool = True) -> Item:
    file, content = medium
    kind = f"{file.kind}_url"
    url = f"data:{file.media_type};base64,{base64.b64encode(content).decode('ascii')}"
    return Item(name, {"type": kind, kind: {"url": url}}, good)
