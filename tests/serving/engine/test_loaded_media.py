"""The time that loading a request's media and making its prompt take."""

from __future__ import annotations

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from sensorium.serving.media.pipeline import MediaPipeline

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]


def test_media_that_were_loaded_are_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: without the mend the garbage collector has to find them."""
    from vllm.renderers import chat_utils

    from sensorium.serving.engine.loaded_media import follow_loading

    class Parser:
        def __init__(self, tracker: Any) -> None:
            self.tracker = tracker

        async def load(self) -> tuple[int, None]:
            return 7, None

    async def held_after() -> bool:
        config = SimpleNamespace(is_multimodal_model=False)
        tracker: Any = chat_utils.AsyncMultiModalItemTracker(config)
        parser = Parser(tracker)
        seen = weakref.ref(parser)
        tracker._items_by_modality["prompt_embeds"].append(parser.load)
        data, _ = await tracker.resolve_items()
        assert data == {"prompt_embeds": [7]}
        del parser, tracker
        return seen() is not None

    measures = MediaPipeline().measures
    tracker_class = chat_utils.AsyncMultiModalItemTracker
    monkeypatch.setattr(tracker_class, "resolve_items", tracker_class.resolve_items)
    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(held_after())
        follow_loading(measures)
        assert not asyncio.run(held_after())
    finally:
        gc.enable()
    name = "sensorium_mm_resolve_items_latency_seconds_count"
    assert measures.registry.get_sample_value(name) == 1


def test_prompts_with_media_are_timed_and_others_not() -> None:
    from sensorium.serving.engine.loaded_media import follow_rendering

    async def render(prompts: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
        return ["said"], prompts

    renderer = SimpleNamespace(render_chat_async=render)
    measures = MediaPipeline().measures
    follow_rendering(renderer, measures)
    prompts = [{"mm_placeholders": {"image": ["place"]}}]
    assert asyncio.run(renderer.render_chat_async(prompts)) == (["said"], prompts)
    assert asyncio.run(renderer.render_chat_async([{}])) == (["said"], [{}])
    name = "sensorium_mm_preprocessing_total_latency_seconds_count"
    assert measures.registry.get_sample_value(name) == 1
