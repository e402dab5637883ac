"""What one request's media may amount to, all together; counted while they come in.

One medium within its limits is harmless, a hundred of them are not. Each amount is spent as soon
as it is known: bytes while they are fetched, pixels and seconds when a medium has been decoded,
tokens when the prompt is put together.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

__all__ = ["BUDGET", "Budget", "MediaBudgetError", "RequestLimits", "spend"]


class MediaBudgetError(ValueError):
    """A request's media amount to too much; the message is for the client."""


@dataclass(frozen=True)
class RequestLimits:
    """The most that a request's media may be: `seconds` are of sound; `tokens` 0 is no limit."""

    items: int = 128
    bytes: int = 512 << 20
    pixels: int = 1_000_000_000
    seconds: float = 3_600.0
    tokens: int = 0


# What the amounts are called, and the flag that sets the limit.
_NAMES = {
    "items": ("items", "--media-max-request-items"),
    "bytes": ("bytes", "--media-max-request-mb"),
    "pixels": ("pixels", "--media-max-request-mpixels"),
    "seconds": ("seconds of sound", "--media-max-request-seconds"),
    "tokens": ("tokens", "--media-max-request-tokens"),
}


@dataclass
class Budget:
    """What one request has spent so far."""

    limits: RequestLimits
    spent: dict[str, float] = field(default_factory=dict)

    def spend(self, what: str, amount: float) -> None:
        """Add to one of the limits' amounts; MediaBudgetError where that is too much."""
        most = getattr(self.limits, what)
        total = self.spent[what] = self.spent.get(what, 0) + amount
        if total > most and (most or what != "tokens"):
            name, flag = _NAMES[what]
            raise MediaBudgetError(
                f"with it the request's media have {total:,.0f} {name}; at most {most:,.0f} are "
                f"taken in a request (`{flag}`): send fewer or smaller ones"
            )


BUDGET: ContextVar[Budget | None] = ContextVar("media_budget", default=None)


def spend(what: str, amount: float) -> None:
    """Spend of the request in hand, where it has a budget."""
    budget = BUDGET.get()
    if budget is not None:
        budget.spend(what, amount)
