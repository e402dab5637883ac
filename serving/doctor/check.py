"""One thing the doctor looked at, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Check", "Report", "Status"]


class Status(StrEnum):
    """`OK`; `NOTE`: serving works, something could be better; `BROKEN`: it cannot serve."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True)
class Check:
    """What was found about `name` in one line, and the command that mends it where one does."""

    name: str
    status: Status
    text: str
    remedy: str | None = None


@dataclass(frozen=True)
class Report:
    """Every check, in the order in which a fault would be mended."""

    sensorium: str
    python: str
    system: str
    checks: Sequence[Check] = field(default_factory=tuple)

    @property
    def can_serve(self) -> bool:
        """Whether nothing that serving needs is broken."""
        return all(check.status is not Status.BROKEN for check in self.checks)

    @property
    def remedy(self) -> str | None:
        """The one command to run next: that of the first broken thing, None when nothing is."""
        broken = (check for check in self.checks if check.status is Status.BROKEN)
        return next((check.remedy for check in broken if check.remedy), None)

    def as_json(self) -> dict[str, Any]:
        """The report as `sensorium doctor --json` prints it."""
        return {
            "sensorium": self.sensorium,
            "python": self.python,
            "system": self.system,
            "can_serve": self.can_serve,
            "remedy": self.remedy,
            "checks": [
                {
                    "name": check.name,
                    "status": check.status.value,
                    "text": check.text,
                    "remedy": check.remedy,
                }
                for check in self.checks
            ],
        }
