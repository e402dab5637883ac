"""Clients that ask one after the other until the time is over, and some that leave."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

from sensorium.benchmarks.soak.media import Item, Items

__all__ = ["Outcomes", "run_clients"]

_LEAVES = 0.1
_TIMEOUT = 300.0


@dataclass
class Outcomes:
    """How many answers of each kind there were, and what should not have been."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, item: Item, outcome: str, text: str = "") -> None:
        """Note an answer: its status, or `left`."""
        self.counts[item.name, outcome] += 1
        expected = outcome in {"left", "429"} or outcome.startswith("2" if item.good else "4")
        if not expected and len(self.wrong) < 20:
            self.wrong.append(f"{item.name}: {outcome} {text[:200]}")


async def run_clients(
    url: str, model: str, items: Items, *, clients: int, seconds: float, key: str | None
) -> Outcomes:
    """Ask for so long."""
    outcomes = Outcomes()
    until = time.monotonic() + seconds
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=False
    ) as http:

        async def client(number: int) -> None:
            dice = random.Random(number)
            while time.monotonic() < until:
                item = items.draw()
                if dice.random() < _LEAVES:
                    await _leave(http, model, item, dice.uniform(0.01, 0.3), outcomes)
                else:
                    await _ask(http, model, item, outcomes)

        await asyncio.gather(*(client(number) for number in range(clients)))
    return outcomes


def _body(model: str, item: Item) -> dict[str, object]:
    content = [item.part, {"type": "text", "text": "What is this?"}]
    return {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 8}


async def _ask(http: httpx.AsyncClient, model: str, item: Item, outcomes: Outcomes) -> None:
    try:
        answer = await http.post("/v1/chat/completions", json=_body(model, item))
        outcomes.add(item, str(answer.status_code), answer.text)
    except httpx.HTTPError as error:
        outcomes.add(item, type(error).__name__, str(error))


async def _leave(
    http: httpx.AsyncClient, model: str, item: Item, after: float, outcomes: Outcomes
) -> None:
    try:
        async with asyncio.timeout(after):
            await _ask(http, model, item, outcomes)
    except TimeoutError:
        outcomes.add(item, "left")
