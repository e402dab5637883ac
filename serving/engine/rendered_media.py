"""What becomes of a request's media between vLLM's renderer and its engine process.

Their tokens are counted as soon as the prompt is put together. And vLLM 0.32 notes in its front end
which media the engine process has, when they are rendered, not when they are sent: where a request
ends in between (its client leaves, it has too many tokens), the next request with the same medium
would be answered with a 500. The notes of such requests are dropped here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from vllm.exceptions import VLLMValidationError

from sensorium.serving.http.turns import room
from sensorium.serving.media.budget import MediaBudgetError, spend
from sensorium.serving.media.origin import AFTERWARDS
from sensorium.serving.media.times import TIMES

__all__ = ["follow_media"]


Encoded = Callable[[Sequence[str]], Awaitable[float]]


def follow_media(engine: Any, encoded: Encoded | None = None) -> None:
    """Follow the media of an `AsyncLLM`'s requests from rendering to sending.

    `encoded` tells how many seconds an engine encoded the media of these requests (vLLM's internal
    ids); requests that ask for their times are told.
    """
    renderer, core = engine.renderer, engine.engine_core
    render, send = renderer.process_for_engine_async, core.add_request_async
    undelivered: Counter[str] = Counter()

    def forget(rendering: asyncio.Task[Any]) -> None:
        if not rendering.done():
            rendering.add_done_callback(forget)
        elif not rendering.cancelled() and rendering.exception() is None:
            for name in _brought(rendering.result()):
                if undelivered.pop(name, 0):
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
            undelivered.update(_brought(rendering.result()))

    async def sent(request: Any) -> None:
        await send(request)
        if encoded is not None and request.mm_features and (times := TIMES.get()) is not None:
            times.sent.append(request.request_id)
            times.encoded = partial(encoded, times.sent)
        for feature in request.mm_features or ():
            undelivered.pop(feature.mm_hash, None)

    renderer.process_for_engine_async = rendered
    core.add_request_async = sent


def _brought(prompt: Any) -> list[str]:
    """Hashes of media whose data are with the prompt: the others the engine has."""
    return [
        name
        for kind, names in (prompt.get("mm_hashes") or {}).items()
        for name, item in zip(names, prompt["mm_kwargs"].get(kind, ()), strict=False)
        if item is not None
    ]


def _spend_tokens(prompt: Any) -> None:
    media = prompt.get("mm_placeholders") or {}
    tokens = sum(place.length for places in media.values() for place in places)
    try:
        spend("tokens", tokens)
    except MediaBudgetError as error:
        raise VLLMValidationError(str(error), parameter="messages") from None
