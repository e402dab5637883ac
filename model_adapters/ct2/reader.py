"""Reader of CTranslate2's `model.bin`.

The format is a plain dump of tensors, little endian throughout:

    u32 version      4, 5 or 6: the three share one layout
    str spec         the model class, "WhisperSpec"
    u32 revision     of that class's set of variables
    u32 n, then n variables
        str name, u8 rank, u32 × rank shape, u8 type, u32 bytes, the data
    u32 m, then m aliases
        str alias, str target    (the target's scale, where it has one, goes with it)

A str is a u16 length, that many UTF-8 bytes, the last of them NUL. Versions 1 to 3 write the size
of an item instead of its type, so a file of theirs cannot be read without guessing: refused.
Source: `ModelSpec._serialize` and the model loader of CTranslate2 4.8.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CT2Error", "CT2File", "Variable", "bfloat16_to_float32", "read_model"]

VERSIONS = (4, 5, 6)
MAX_RANK = 8

# Position in this list is the type's number in the file. bfloat16, which numpy lacks, is kept as
# its bit patterns.
TYPES: tuple[tuple[str, np.dtype[Any]], ...] = (
    ("float32", np.dtype("<f4")),
    ("int8", np.dtype("<i1")),
    ("int16", np.dtype("<i2")),
    ("int32", np.dtype("<i4")),
    ("float16", np.dtype("<f2")),
    ("bfloat16", np.dtype("<u2")),
)


class CT2Error(ValueError):
    """A CTranslate2 model is not what it must be; the message says where and how."""


@dataclass(frozen=True, eq=False)
class Variable:
    """One tensor of the file, as it is stored (bfloat16 as uint16 bit patterns)."""

    dtype: str
    values: NDArray[np.generic]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


@dataclass(frozen=True)
class CT2File:
    """A parsed `model.bin`. `aliases` maps a second name to the variable it stands for."""

    spec: str
    revision: int
    variables: dict[str, Variable]
    aliases: dict[str, str]


def bfloat16_to_float32(patterns: NDArray[np.generic]) -> NDArray[np.float32]:
    """Widen bfloat16 bit patterns (uint16) to float32, exactly."""
    return (patterns.astype(np.uint32) << np.uint32(16)).view(np.float32)


def read_model(data: bytes | memoryview) -> CT2File:
    """Parse a whole `model.bin`; the arrays are views into `data`.

    Raises `CT2Error` for anything that is not a well-formed file to its last byte.
    """
    cursor = _Cursor(memoryview(data))
    version = cursor.u32()
    if version not in VERSIONS:
        raise CT2Error(
            f"binary version {version}: only {', '.join(map(str, VERSIONS))} can be read; "
            "convert the model again with CTranslate2 3.0 or newer"
        )
    spec, revision = cursor.string(), cursor.u32()
    variables: dict[str, Variable] = {}
    for _ in range(cursor.u32()):
        name = cursor.string()
        if not name or name in variables:
            raise CT2Error(f"variable {name!r}: the name is empty or occurs twice")
        variables[name] = _variable(cursor, name)
    aliases: dict[str, str] = {}
    for _ in range(cursor.u32()):
        alias, target = cursor.string(), cursor.string()
        if not alias or alias in variables or alias in aliases:
            raise CT2Error(f"alias {alias!r}: the name is empty or occurs twice")
        if target not in variables:
            raise CT2Error(f"alias {alias!r}: its target {target!r} is not in the file")
        aliases[alias] = target
    if cursor.left:
        raise CT2Error(f"{cursor.left} bytes follow the last alias: not a whole, single model file")
    return CT2File(spec, revision, variables, aliases)


def _variable(cursor: _Cursor, name: str) -> Variable:
    shape = [cursor.u32() for _ in range(cursor.u8())]
    if len(shape) > MAX_RANK or 0 in shape:
        raise CT2Error(f"{name}: shape {shape}; up to {MAX_RANK} dimensions, none 0, are allowed")
    number, size = cursor.u8(), cursor.u32()
    if number >= len(TYPES):
        raise CT2Error(f"{name}: unknown type number {number}, known are 0 to {len(TYPES) - 1}")
    dtype, layout = TYPES[number]
    if size != math.prod(shape) * layout.itemsize:
        raise CT2Error(f"{name}: {size} bytes do not hold {dtype} of shape {shape}")
    return Variable(dtype, np.frombuffer(cursor.take(size), layout).reshape(shape))


class _Cursor:
    """A place in the file, moved on by each value read."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> memoryview:
        if size > self.left:
            raise CT2Error(
                f"cut off: byte {self._at + size} is needed, the file has {len(self._data)}"
            )
        self._at += size
        return self._data[self._at - size : self._at]

    def u8(self) -> int:
        return self.take(1)[0]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def string(self) -> str:
        start = self._at
        (length,) = struct.unpack("<H", self.take(2))
        raw = bytes(self.take(length))
        if not raw.endswith(b"\0") or raw.count(b"\0") != 1:
            raise CT2Error(f"byte {start}: not a NUL-terminated string")
        try:
            return raw[:-1].decode("utf-8")
        except UnicodeDecodeError:
            raise CT2Error(f"byte {start}: a string that is not UTF-8") from None
