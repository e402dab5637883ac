"""How long the media and the prompt of a request take before the engine has it.

vLLM 0.32 measures neither: its clock starts when both are ready. Where its pull request 50875 looks
at the clock, so does this: around `AsyncMultiModalItemTracker.resolve_items`, and around the
renderer's `render_chat_async`.
"""

from __future__ import annotations

import time
from typing import Any

from sensorium.serving.media.measures import MediaMeasures

__all__ = ["follow_loading", "follow_rendering"]


def follow_loading(measures: MediaMeasures | None) -> None:
    """Time the loading of each request's media; and have its loaders forget them afterwards.

    The tracker and its parser hold each other, and with each other the media, until the garbage
    collector comes by: memory for nothing, and a longer collection.
    """
    from vllm.renderers.chat_utils import AsyncMultiModalItemTracker as Tracker

    theirs = Tracker.resolve_items

    async def resolve(tracker: Any) -> Any:
        began = time.perf_counter()
        has_media = bool(tracker._items_by_modality)
        try:
            return await theirs(tracker)
        finally:
            tracker._items_by_modality.clear()
            if has_media and measures is not None:
                measures.resolved(time.perf_counter() - began)

    Tracker.resolve_items = resolve


def follow_rendering(renderer: Any, measures: MediaMeasures) -> None:
    """Time the making of each prompt with media."""
    theirs = renderer.render_chat_async

    async def render(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        conversations, prompts = await theirs(*args, **kwargs)
        if any(prompt.get("mm_placeholders") for prompt in prompts):
            measures.preprocessed(time.perf_counter() - began)
        return conversations, prompts

    renderer.render_chat_async = render
