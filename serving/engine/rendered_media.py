"""What becomes of a request's media between vLLM's renderer and its engine process.

Their tokens are counted as soon as the prompt is put together. And vLLM 0.32 notes in its front end
which media the engine process has, when they are rendered, not when they are sent. Where a request
ends in between (its client leaves, it has too many tokens), the front end would be wrong about what
the engine has, and which of it was used last: a later request with one of these media would be
answered with a 500. So the notes of such requests are dropped here, and a request that was rendered
without the data of a medium, because another brings them, takes them along itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from vllm.exceptions import VLLMValidationError

from sensorium.serving.http.turns import room
from sensorium.serving.media.budget import MediaBudgetError, spend
from sensorium.serving.media.origin import AFTERWARDS
from sensorium.serving.media.times import TIMES

__all__ = ["follow_media"]


# Seconds in which a request that was rendered is sent, however much else there is to do.
_A_MOMENT = 5.0
Encoded = Callable[[Sequence[str]], Awaitable[float]]


def follow_media(engine: Any, encoded: Encoded | None = None) -> None:
    """Follow the media of an `AsyncLLM`'s requests from rendering to sending.

    `encoded` tells how many seconds an engine encoded the media of these requests (vLLM's internal
    ids); requests that ask for their times are told.
    """
    renderer, core = engine.renderer, engine.engine_core
    render, send = renderer.process_for_engine_async, core.add_request_async
    unsent = _Unsent()

    def forget(rendering: asyncio.Task[Any]) -> None:
        if not rendering.done():
            rendering.add_done_callback(forget)
        elif not rendering.cancelled() and rendering.exception() is None:
            for name in unsent.forget(rendering.result()):
                if renderer.mm_processor_cache is not None:
                    renderer.mm_processor_cache.invalidate(name)

    async def rendered(*args: Any, **kwargs: Any) -> Any:
        # Media come at once when the loop was held up; so do prompts, which go to the engine next.
        await room()
        rendering = asyncio.ensure_future(render(*args, **kwargs))
        if (afterwards := AFTERWARDS.get()) is not None:
            afterwards.append(partial(forget, rendering))
        rendering.add_done_callback(note)
        # A thread renders: it is not stopped by the client's leaving.
        prompt = await asyncio.shield(rendering)
        _spend_tokens(prompt)
        await room()
        return prompt

    def note(rendering: asyncio.Task[Any]) -> None:
        if not rendering.cancelled() and rendering.exception() is None:
            unsent.add(rendering.result())

    async def sent(request: Any) -> None:
        unsent.complete(request)
        await send(request)
        if encoded is not None and request.mm_features and (times := TIMES.get()) is not None:
            times.sent.append(request.request_id)
            times.encoded = partial(encoded, times.sent)
        unsent.remove(request)

    renderer.process_for_engine_async = rendered
    core.add_request_async = sent


class _Unsent:
    """Media that are rendered, and not on their way to the engine process yet."""

    def __init__(self) -> None:
        self._places: dict[int, object] = {}  # by identity: vLLM hands them on as they are
        self._data: dict[str, Any] = {}

    def add(self, prompt: Any) -> None:
        """A prompt was rendered."""
        for name, item, place in _media(prompt):
            self._places[id(place)] = place
            if item is not None:
                self._data[name] = item

    def complete(self, request: Any) -> None:
        """Give a request the data of its media that another was to bring."""
        for feature in request.mm_features or ():
            if feature.data is None:
                feature.data = self._data.get(feature.mm_hash)

    def remove(self, request: Any) -> None:
        """A request was sent."""
        for feature in request.mm_features or ():
            self._places.pop(id(feature.mm_position), None)
            if feature.data is not None:
                self._data.pop(feature.mm_hash, None)

    def forget(self, prompt: Any) -> list[str]:
        """A request has ended; the names of its media where it was never sent.

        Another that was rendered meanwhile may count on their data, and is sent in a moment.
        """
        names = []
        for name, item, place in _media(prompt):
            if self._places.pop(id(place), None) is not None:
                names.append(name)
                if item is not None:
                    asyncio.get_running_loop().call_later(_A_MOMENT, self._drop, name, item)
        return names

    def _drop(self, name: str, item: object) -> None:
        if self._data.get(name) is item:
            del self._data[name]


def _media(prompt: Any) -> Iterator[tuple[str, Any, Any]]:
    """Of each medium its hash, its data (None where the engine has them) and its place."""
    for kind, names in (prompt.get("mm_hashes") or {}).items():
        yield from zip(
            names, prompt["mm_kwargs"].get(kind, ()), prompt["mm_placeholders"][kind], strict=False
        )


def _spend_tokens(prompt: Any) -> None:
    media = prompt.get("mm_placeholders") or {}
    tokens = sum(place.length for places in media.values() for place in places)
    try:
        spend("tokens", tokens)
    except MediaBudgetError as error:
        raise VLLMValidationError(str(error), parameter="messages") from None
