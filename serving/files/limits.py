"""How much clients may store and ask for in batches."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FileLimits"]


@dataclass(frozen=True)
class FileLimits:
    """OpenAI's limits where it has any; sizes in bytes, times in seconds.

    `inflight` batch rows are with the engines at once (0: half of what one runs together), an
    eighth of them while other requests run. `retention` is how long the output of a batch is kept.
    """

    file_bytes: int = 512 << 20
    batch_bytes: int = 200 << 20
    batch_rows: int = 50_000
    inflight: int = 0
    retention: int | None = 30 * 86_400
