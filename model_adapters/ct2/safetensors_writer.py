"""Writer of safetensors files, straight from numpy arrays.

The library itself is not used because its numpy side knows no bfloat16 and leaves files private
(mode 0600). Layout: u64 header length, a JSON header padded with spaces to 8 bytes, then the
tensors without gaps. For tensors of one type the bytes are those that safetensors 0.8 writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["write_safetensors"]

# bfloat16 comes as uint16 bit patterns.
LAYOUTS = {
    "float32": ("F32", np.dtype("<f4")),
    "float16": ("F16", np.dtype("<f2")),
    "bfloat16": ("BF16", np.dtype("<u2")),
}


def write_safetensors(path: Path, tensors: Mapping[str, NDArray[np.generic]], dtype: str) -> None:
    """Write `tensors`, all of one `dtype` ("float32", "float16" or "bfloat16"), sorted by name.

    Raises ValueError when an array has another type than `dtype` says.
    """
    label, layout = LAYOUTS[dtype]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, values in sorted(tensors.items()):
        if values.dtype != layout:
            raise ValueError(f"{name} is {values.dtype}; {layout} is needed for {dtype}")
        start, end = end, end + values.nbytes
        header[name] = {"dtype": label, "shape": values.shape, "data_offsets": [start, end]}
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little"))
        file.write(head)
        for _, values in sorted(tensors.items()):
            file.write(np.ascontiguousarray(values).data)
