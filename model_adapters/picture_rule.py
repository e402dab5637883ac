"""What media workers do to a picture in the place of a Hugging Face processor.

A rule makes the 8-bit values that a tower sees, to the last bit those that the processor would
scale and normalise. Sizes are (width, height).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import ClassVar

from sensorium.model_adapters.images import Pixels
from sensorium.model_adapters.resampling import Picture

__all__ = ["PictureRule", "Size"]

Size = tuple[int, int]


@dataclass(frozen=True)
class PictureRule(ABC):
    """Subclasses are dataclasses of what JSON can hold; `read_rule` finds them by `key`."""

    key: ClassVar[str]

    def recipe(self) -> str:
        """The rule as text, by which a request names it."""
        return json.dumps({self.key: asdict(self)}, sort_keys=True)

    @abstractmethod
    def seen(self, size: Size) -> Size:
        """In what size a picture of `size` is seen at most.

        Raises ValueError for a shape that the processor refuses.
        """

    @abstractmethod
    def prepare(self, picture: Picture, size: Size) -> Pixels:
        """8-bit pixels of a picture; `size` is the file's, before any reduction."""

    def prepare_nearly(self, picture: Picture, size: Size) -> Pixels:
        """As `prepare`, where there is a cheaper way with values that are nearly the same."""
        return self.prepare(picture, size)
