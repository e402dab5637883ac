"""What is short is done where it is asked for; the rest, and what must wait, by vLLM's threads."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.engine


def safe_apply_chat_template(model: object, tokenizer: object, talk: object, **options: Any) -> int:
    """As vLLM's is called."""
    return threading.get_ident()


class Renderer:
    """As much of vLLM's as is used; answers with the thread that did the work."""

    def __init__(self) -> None:
        from vllm.utils.async_utils import make_async

        from sensorium.serving.engine.short_work import do_short_work

        self._executor = SimpleNamespace(_inner=ThreadPoolExecutor(1))
        self._mm_executor = ThreadPoolExecutor(1)
        self.held = threading.Event()
        self.held.set()
        do_short_work(self)
        executor: Any = SimpleNamespace(submit=self._executor._inner.submit)
        self.tokenize = make_async(self._tokenize_prompt, executor=executor)
        self.template = make_async(safe_apply_chat_template, executor=executor)

    def _tokenize_prompt(self, prompt: dict[str, str], params: object) -> int:
        if prompt["prompt"] == "bad":
            raise ValueError("a text that is none")
        return threading.get_ident()

    def _process_multimodal(self, tokens: list[int], media: Any, **options: Any) -> int:
        return threading.get_ident()

    def clear_mm_cache(self) -> int:
        return threading.get_ident()


def run(work: Callable[[Renderer], Any]) -> Any:
    async def main() -> Any:
        renderer = Renderer()
        # Until what the threads had before is done.
        await asyncio.wrap_future(renderer._executor._inner.submit(int, 0))
        await asyncio.wrap_future(renderer._mm_executor.submit(int, 0))
        return await work(renderer)

    return asyncio.run(main())


def picture() -> Any:
    from vllm.multimodal.media.base import MediaWithBytes

    from sensorium.model_adapters.engine.prepared import PreparedImage

    squares = np.zeros((1, 3, 4, 4), np.uint8)
    return MediaWithBytes(PreparedImage((4, 4), squares, ""), b"digest")


@pytest.mark.parametrize(("length", "here"), [(2_000, True), (2_001, False)])
def test_a_short_text(length: int, here: bool) -> None:
    found = run(lambda renderer: renderer.tokenize({"prompt": "a" * length}, None))
    assert (found == threading.get_ident()) is here


USER = {"role": "user", "content": "a" * 1_000}
SEEN = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "a" * 1_000}]}
CALLED = {"role": "assistant", "content": None, "tool_calls": []}
USUAL = {"tokenize": False, "add_generation_prompt": True, "return_dict": False}


@pytest.mark.parametrize(
    ("talk", "options", "here"),
    [
        ([USER, SEEN], USUAL, True),
        ([USER, SEEN, {"role": "user", "content": "a"}], USUAL, False),
        ([{"role": "user", "content": "a"}] * 9, USUAL, False),
        ([USER, CALLED], USUAL, False),
        ([{"role": "user", "content": None}], USUAL, False),
        ([USER], USUAL | {"chat_template": "{{ a }}"}, False),
        ([USER], USUAL | {"tools": [{}]}, False),
        ([USER], USUAL | {"thinking": True}, False),
    ],
)
def test_a_chat_template(talk: Any, options: dict[str, Any], here: bool) -> None:
    async def work(renderer: Renderer) -> list[int]:
        asked = [None, None, talk]
        first = await renderer.template(*asked, **options)
        await asyncio.wrap_future(renderer._executor._inner.submit(int, 0))
        return [first, await renderer.template(*asked, **options)]

    first, second = run(work)
    assert first != threading.get_ident()  # it is compiled
    assert (second == threading.get_ident()) is here


def test_prepared_pictures() -> None:
    for count, here in ((1, True), (4, True), (5, False)):
        media = {"image": [picture()] * count}
        found = run(lambda renderer, media=media: renderer._process_multimodal_async([1], media))
        assert (found == threading.get_ident()) is here


@pytest.mark.parametrize(
    "media", [{"image": [object()]}, {"audio": [object()]}, {}], ids=["picture", "sound", "none"]
)
def test_other_media(media: dict[str, Any]) -> None:
    found = run(lambda renderer: renderer._process_multimodal_async([1], media, option=1))
    assert found != threading.get_ident()


def test_many_tokens_and_other_work() -> None:
    async def work(renderer: Renderer) -> list[int]:
        long = renderer._process_multimodal_async([1] * 2_001, {"image": [picture()]})
        return [await long, await renderer._clear_mm_cache_async()]  # type: ignore[attr-defined]

    assert threading.get_ident() not in run(work)


def test_what_is_short_waits_for_the_threads() -> None:
    """A tokeniser may not be used twice at a time."""

    async def work(renderer: Renderer) -> list[int]:
        renderer.held.clear()
        # Not `_tokenize_prompt` by its name, so it is left to the thread.
        first = renderer._executor._inner.submit(lambda: renderer.held.wait(10))
        second = renderer.tokenize({"prompt": "text"}, None)
        renderer.held.set()
        found = [await second]
        await asyncio.wrap_future(first)
        return [*found, await renderer.tokenize({"prompt": "text"}, None)]

    here = [thread == threading.get_ident() for thread in run(work)]
    assert here == [False, True]


def test_a_few_in_one_turn_of_the_loop() -> None:
    async def work(renderer: Renderer) -> list[int]:
        asked = [renderer.tokenize({"prompt": "text"}, None) for _ in range(6)]
        return list(await asyncio.gather(*asked))

    here = [thread == threading.get_ident() for thread in run(work)]
    assert here == [True] * 4 + [False] * 2


def test_an_error_comes_to_who_asked() -> None:
    with pytest.raises(ValueError, match="a text that is none"):
        run(lambda renderer: renderer.tokenize({"prompt": "bad"}, None))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, as it is imported
def test_vllm_has_what_is_replaced() -> None:
    from vllm.renderers.base import BaseRenderer, _SwappableExecutor
    from vllm.renderers.hf import HfRenderer

    source = inspect.getsource(BaseRenderer.__init__)
    for line in (
        "self._tokenize_prompt, executor=self._executor",
        "self._process_multimodal, executor=self._mm_executor",
        "self.clear_mm_cache, executor=self._mm_executor",
    ):
        assert line in source
    template = "safe_apply_chat_template, executor=self._executor"
    assert template in inspect.getsource(HfRenderer.__init__)
    assert isinstance(_SwappableExecutor(1)._inner, ThreadPoolExecutor)
    assert source.count("executor=self._mm_executor") == 2
