"""What a run counts while it goes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sensorium.serving.batch.lines import Finished

__all__ = ["Tally"]


@dataclass
class Tally:
    """Rows on the disk and what they cost.

    `done` and `failed` start with what earlier runs finished; rates count this run only.
    """

    done: int = 0
    failed: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    began: float = field(default_factory=time.monotonic)
    before: int = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.done + self.failed

    def count(self, row: Finished) -> None:
        """A row has reached the disk."""
        if row.answered:
            self.done += 1
        else:
            self.failed += 1
        self.prompt_tokens += row.tokens.prompt
        self.completion_tokens += row.tokens.completion
        self.cached_tokens += row.tokens.cached

    @property
    def rows(self) -> int:
        """All rows on the disk."""
        return self.done + self.failed

    @property
    def seconds(self) -> float:
        """How long this run has taken so far."""
        return max(1e-9, time.monotonic() - self.began)

    @property
    def rows_per_second(self) -> float:
        """Rows finished by this run, a second."""
        return (self.rows - self.before) / self.seconds
