"""Short work of vLLM's renderer, done where it is asked for instead of in a thread.

vLLM 0.32 hands each prompt to a thread that puts it into the chat template and tokenises it, and to
another that runs the model's processor (`renderers/base.py`: `_executor`, `_mm_executor`). For a
short prompt whose pictures were prepared by media workers, to wake them and to be woken takes as
long as what they do; and where the kernel stops a thread that has the interpreter's lock, the event
loop stands still for 5 to 13 ms. Longer work is theirs as before, and so is everything while they
have something to do: neither tokenisers nor processors may be used by two threads at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from vllm.multimodal.media.base import MediaWithBytes
from vllm.utils.async_utils import make_async

from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.serving.http.turns import TurnBudget

__all__ = ["do_short_work"]

# Of a prompt that takes less than a millisecond: characters and tokens, messages, pictures.
_CHARACTERS, _TOKENS, _MESSAGES, _PICTURES = 2_000, 2_000, 8, 4
# Options of chat templates that every request comes with; others may make them do anything.
_USUAL = {"add_generation_prompt", "cohere_format", "continue_final_message"}
_USUAL |= {"return_dict", "tokenize"}
# Pieces of work that the event loop does before it looks at its connections again.
_A_TURN = 4

_Short = Callable[[Any], bool]


class _Shortcut(Executor):
    """Does what is `short` at once, while `threads` have nothing to do; the rest is theirs."""

    def __init__(self, threads: Executor, short: _Short) -> None:
        self._threads = threads
        self._short = short
        self._lock = threading.Lock()
        self._going_on = 0
        self._turn = TurnBudget(_A_TURN)
        # What was handed over before: these are done in order.
        self._hand_over(int)

    def submit(self, task: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """As any executor; the future of what was short is done."""
        if args or options or not self._short(task) or not self._turn.takes():
            return self._hand_over(task, *args, **options)
        with self._lock:
            if not self._going_on:
                done: Future[Any] = Future()
                try:
                    done.set_result(task())
                except Exception as error:  # noqa: BLE001 (whoever asked for it handles it)
                    done.set_exception(error)
                return done
        return self._hand_over(task)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)

    def _hand_over(self, task: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        with self._lock:
            future = self._threads.submit(task, *args, **options)
            self._going_on += 1
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _: Future[Any]) -> None:
        with self._lock:
            self._going_on -= 1


def do_short_work(renderer: Any) -> None:
    """Let a vLLM renderer's event loop do what is short itself."""
    threads = renderer._executor
    threads._inner = _Shortcut(threads._inner, _ShortText())
    renderer._mm_executor = media = _Shortcut(renderer._mm_executor, _prepared_pictures)
    renderer._process_multimodal_async = make_async(renderer._process_multimodal, executor=media)
    renderer._clear_mm_cache_async = make_async(renderer.clear_mm_cache, executor=media)


class _ShortText:
    """Whether a task (a `partial`) tokenises few characters, or puts them into the template."""

    def __init__(self) -> None:
        self._compiled = False

    def __call__(self, task: Any) -> bool:
        name = _name(task)
        if name == "_tokenize_prompt":
            return _few_characters(task.args[0].get("prompt"))
        if name != "safe_apply_chat_template" or len(task.args) != 3:
            return False
        # The first time a template is compiled, which takes longer: for a thread.
        compiled, self._compiled = self._compiled, True
        return compiled and task.keywords.keys() <= _USUAL and _short_talk(task.args[2])


def _short_talk(messages: Any) -> bool:
    """Whether there are few messages, with few characters, and nothing but text and media."""
    if not isinstance(messages, list) or len(messages) > _MESSAGES:
        return False
    said = 0
    for message in messages:
        if not message.keys() <= {"role", "content", "name"}:
            return False
        content = message.get("content")
        for part in content if isinstance(content, list) else [content]:
            text = part.get("text", "") if isinstance(part, dict) else part
            if not isinstance(text, str):
                return False
            said += len(text)
            if said > _CHARACTERS:
                return False
    return True


def _few_characters(text: object) -> bool:
    return isinstance(text, str) and len(text) <= _CHARACTERS


def _name(task: Any) -> str:
    return getattr(getattr(task, "func", None), "__name__", "")


def _prepared_pictures(task: Any) -> bool:
    """Whether a task (a `partial`) puts together a prompt of few pictures that were prepared."""
    if _name(task) != "_process_multimodal":
        return False
    tokens, media = task.args[:2]
    pictures = media.get("image")
    if len(media) != 1 or not isinstance(pictures, list) or len(pictures) > _PICTURES:
        return False
    return len(tokens) <= _TOKENS and all(map(_is_prepared, pictures))


def _is_prepared(picture: object) -> bool:
    return isinstance(picture, MediaWithBytes) and isinstance(picture.media, PreparedImage)
