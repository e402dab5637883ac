"""A row of a batch, what can be wrong with it, and compact sets of rows for long inputs."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ENDPOINTS", "FORM_ENDPOINTS", "Bitmap", "IdSet", "Problem", "Row"]

# What a row may ask for: the routes of OpenAI's API that answer one request with one JSON object.
ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
)
# Those that take a form with a sound file instead of JSON.
FORM_ENDPOINTS = frozenset({"/v1/audio/transcriptions", "/v1/audio/translations"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row cannot be asked: a short `code` for programs, and one sentence for people."""

    code: str
    message: str
    param: str | None = None


@dataclass(slots=True)
class Row:
    """One request of a batch.

    `number` is its place in the input, from 0, and its identity: the manifest pins the input, so
    the same number is always the same row. A row with a `problem` is never sent.
    """

    number: int
    custom_id: str | None
    url: str
    body: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None


class Bitmap:
    """A growing set of small whole numbers, one bit each: a million rows take 125 kB."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._count = 0

    def __contains__(self, number: int) -> bool:
        index = number >> 3
        return index < len(self._bits) and bool(self._bits[index] >> (number & 7) & 1)

    def __len__(self) -> int:
        return self._count

    def add(self, number: int) -> bool:
        """Put `number` in; False when it was there already."""
        if number in self:
            return False
        index = number >> 3
        if index >= len(self._bits):
            self._bits.extend(bytes(index + 1 + (index >> 3) - len(self._bits)))
        self._bits[index] |= 1 << (number & 7)
        self._count += 1
        return True


class IdSet:
    """A set of texts that keeps 64 bits of a hash of each: at most 32 bytes a text.

    Two different texts are taken for the same with a chance of n * n / 2**65 among n of them, for
    ten million 3 in a million.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0

    def add(self, text: str) -> bool:
        """Put `text` in; False when it was there already."""
        raw = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if not self._insert(self._slots, int.from_bytes(raw) or 1):
            return False
        self._count += 1
        if self._count * 2 > len(self._slots):
            self._grow()
        return True

    @staticmethod
    def _insert(slots: array[int], value: int) -> bool:
        mask = len(slots) - 1
        place = value & mask
        while (found := slots[place]) != 0:
            if found == value:
                return False
            place = (place + 1) & mask
        slots[place] = value
        return True

    def _grow(self) -> None:
        larger = array("Q", bytes(16 * len(self._slots)))
        for value in self._slots:
            if value:
                self._insert(larger, value)
        self._slots = larger
