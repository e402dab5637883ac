"""Media between vLLM's renderer and its engine: counted, and forgotten where they were not sent."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from sensorium.serving.http.loop_lag import watched_loop
from sensorium.serving.media.budget import BUDGET, Budget, RequestLimits
from sensorium.serving.media.origin import AFTERWARDS
from sensorium.serving.media.times import TIMES, RequestTimes

pytestmark = pytest.mark.engine


def prompt(*hashes: str, known: bool = False, tokens: int = 6) -> dict[str, Any]:
    return {
        "mm_hashes": {"image": list(hashes)},
        "mm_kwargs": {"image": [None if known else object() for _ in hashes]},
        "mm_placeholders": {"image": [SimpleNamespace(length=tokens) for _ in hashes]},
    }


class Engine:
    """What is followed of an engine, and what was forgotten."""

    def __init__(self) -> None:
        from sensorium.serving.engine.rendered_media import follow_media

        self.forgotten: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()
        cache = SimpleNamespace(invalidate=self.forgotten.append)
        self.renderer = SimpleNamespace(
            process_for_engine_async=self._render, mm_processor_cache=cache
        )
        self.engine_core = SimpleNamespace(add_request_async=self._add)
        self.asked: list[list[str]] = []
        # Of each request that was sent, whether its media came with data.
        self.brought: list[list[bool]] = []
        follow_media(self, self._encoded)

    async def _render(self, made: dict[str, Any]) -> dict[str, Any]:
        await self.hold.wait()
        return made

    async def _add(self, request: Any) -> None:
        self.brought.append([feature.data is not None for feature in request.mm_features])

    async def _encoded(self, requests: Sequence[str]) -> float:
        self.asked.append(list(requests))
        return 0.25

    async def ask(self, made: dict[str, Any], *, send: bool = True) -> None:
        """A request, to its end."""
        afterwards: list[Callable[[], object]] = []
        AFTERWARDS.set(afterwards)
        try:
            rendered = await self.renderer.process_for_engine_async(made)
            media = [
                rendered[f"mm_{what}"]["image"] for what in ("hashes", "kwargs", "placeholders")
            ]
            features = [
                SimpleNamespace(mm_hash=name, data=data, mm_position=place)
                for name, data, place in zip(*media, strict=True)
            ]
            if send:
                await self.engine_core.add_request_async(
                    SimpleNamespace(mm_features=features, request_id="inner-1")
                )
        finally:
            for call in afterwards:
                call()


async def test_what_was_sent_is_remembered() -> None:
    engine = Engine()
    await engine.ask(prompt("a", "b"))
    await engine.ask(prompt("a", known=True))
    assert engine.forgotten == []
    assert engine.brought == [[True, True], [False]]


async def test_what_was_not_sent_is_forgotten() -> None:
    engine = Engine()
    await engine.ask(prompt("a", "b"), send=False)
    assert engine.forgotten == ["a", "b"]


async def test_so_is_that_it_was_used_last() -> None:
    """The engine did not see the request: it may drop the medium before the front end does."""
    engine = Engine()
    await engine.ask(prompt("a"))
    await engine.ask(prompt("a", known=True), send=False)
    assert engine.forgotten == ["a"]


async def test_who_counts_on_data_of_a_request_that_left_takes_them_along() -> None:
    engine = Engine()
    await engine.ask(prompt("a", "b"), send=False)
    await engine.ask(prompt("a", known=True))
    assert engine.brought == [[True]]
    await engine.ask(prompt("a", known=True))
    assert engine.brought == [[True], [False]]


async def test_who_is_sent_before_the_one_that_brings_the_data_takes_them_along() -> None:
    engine = Engine()
    rendered = await engine.renderer.process_for_engine_async(prompt("a"))
    await engine.ask(prompt("a", known=True))
    assert engine.brought == [[True]]
    assert rendered["mm_kwargs"]["image"] != [None]


async def test_data_of_a_request_that_left_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from sensorium.serving.engine import rendered_media

    monkeypatch.setattr(rendered_media, "_A_MOMENT", 0.0)
    engine = Engine()
    await engine.ask(prompt("a"), send=False)
    await asyncio.sleep(0.01)
    await engine.ask(prompt("a", known=True))
    assert engine.brought == [[False]]


async def test_so_it_is_where_the_client_leaves_while_a_thread_renders() -> None:
    engine = Engine()
    engine.hold.clear()
    asking = asyncio.create_task(engine.ask(prompt("a")))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert engine.forgotten == []
    engine.hold.set()
    await asyncio.sleep(0.01)
    assert engine.forgotten == ["a"]


async def test_too_many_tokens_are_refused_and_not_sent() -> None:
    from vllm.exceptions import VLLMValidationError

    engine = Engine()
    BUDGET.set(Budget(RequestLimits(tokens=10)))
    await engine.ask(prompt("a"))
    with pytest.raises(VLLMValidationError, match=r"18 tokens; at most 10"):
        await engine.ask(prompt("b", "c"))
    assert engine.forgotten == ["b", "c"]


async def test_who_asks_for_times_is_told_those_of_the_encoder() -> None:
    engine = Engine()
    await engine.ask(prompt("a"))
    times = RequestTimes()
    TIMES.set(times)
    await engine.ask(prompt("b"))
    assert engine.asked == []
    await times.complete()
    await times.complete()  # asked once
    assert engine.asked == [["inner-1"]]
    assert times.media == {"encode": 0.25}


def test_prompts_that_are_ready_at_once_go_on_in_many_turns() -> None:
    """Of the loop that servers have, and with more to do for each than fits into one turn."""
    turns: list[float] = []
    going_on: list[int] = []

    async def scene() -> None:
        engine = Engine()
        engine.hold.clear()

        async def ask(number: int) -> None:
            await engine.renderer.process_for_engine_async(prompt(str(number)))
            going_on.append(number)
            time.sleep(0.005)  # noqa: ASYNC251 (the work)

        asking = [asyncio.create_task(ask(number)) for number in range(8)]
        await asyncio.sleep(0.01)
        engine.hold.set()
        await asyncio.gather(*asking)

    watched = functools.partial(watched_loop, turns.append, lambda _: None)
    with asyncio.Runner(loop_factory=watched) as runner:
        runner.run(scene())
    assert going_on == list(range(8))
    assert sum(turn >= 0.005 for turn in turns) >= 8  # more on a busy machine
