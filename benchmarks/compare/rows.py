"""The loads that servers are compared under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sensorium.benchmarks.compare.servers import SERVED_NAME
from sensorium.benchmarks.workload.mix import Mix
from sensorium.benchmarks.workload.settings import WorkloadSettings
from sensorium.serving.errors import UserError

__all__ = ["ROWS", "Row", "choose_rows"]

_BASE = WorkloadSettings(SERVED_NAME, input_tokens=64, output_tokens=16, ignore_eos=True)
_HD = Mix(((1280, 720),), (1.0,))
_SMALL = Mix(((224, 224),), (1.0,))


@dataclass(frozen=True)
class Row:
    """A load with its name and what it is, for people.

    `longer`: so many times the requests that other loads get. Answers that take a few milliseconds
    would be measured for a second, most of it the first burst.
    """

    name: str
    title: str
    workload: WorkloadSettings
    longer: int = 1


ROWS = (
    Row("text-short", "text, 16 tokens out", _BASE, longer=4),
    Row("text-long", "text, 128 tokens out", replace(_BASE, output_tokens=128)),
    Row("image", "one 1280x720 JPEG, each another", replace(_BASE, images=_HD), longer=2),
    Row(
        "image-repeated",
        "the same 1280x720 JPEG",
        replace(_BASE, images=_HD, reuse=1.0),
        longer=2,
    ),
    Row("images-8", "eight 224x224 JPEG", replace(_BASE, images=_SMALL, images_per_request=8)),
    Row("audio", "20 s of sound (WAV)", replace(_BASE, sounds=Mix((20.0,), (1.0,)))),
)


def choose_rows(names: Sequence[str]) -> tuple[Row, ...]:
    """The rows of these names, all of them for none; UserError for an unknown one."""
    known = {row.name: row for row in ROWS}
    for name in names:
        if name not in known:
            raise UserError(f"--rows {name}: no such row; there are {', '.join(known)}")
    return tuple(known[name] for name in names) or ROWS
