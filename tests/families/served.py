"""A tiny checkpoint served by vLLM inside the test process."""

from __future__ import annotations

import base64
import gc
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["INDUCTOR_VARIABLE", "Answer", "Served", "data_url", "encoded", "question"]

# Set to 1, Inductor makes the code of compiled starts, as where users serve: ten times as dear.
INDUCTOR_VARIABLE = "SENSORIUM_TEST_INDUCTOR"

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("OMP_NUM_THREADS", "2")


@dataclass(frozen=True)
class Answer:
    """The prompt's ids, the answer's ids, and the top-5 log-probabilities of each step."""

    prompt: list[int]
    tokens: list[int]
    top: list[dict[int, float]]
    cached: int


class Served:
    """An engine for one checkpoint; close it before the next one starts.

    `compiled` starts it as without `--enforce-eager`: during vLLM's profile run the layers of the
    language model are traced into one graph for all lengths, and from then on the graph runs. It
    is run as it was traced, or by Inductor's code where `INDUCTOR_VARIABLE` is 1.
    """

    def __init__(self, checkpoint: Path, *, compiled: bool = False, **options: Any) -> None:
        from vllm import LLM

        settings: dict[str, Any] = {
            "dtype": "float32",
            "max_model_len": 1024,
            "enforce_eager": True,
            "max_num_seqs": 4,
            "block_size": 32,
            "kv_cache_memory_bytes": 32 << 20,
            "seed": 0,
        }
        if compiled:
            settings["enforce_eager"] = False
        if compiled and os.environ.get(INDUCTOR_VARIABLE) != "1":
            # Mode 2 traces once, as vLLM's default mode comes to on a CPU.
            settings["compilation_config"] = {"mode": 2, "backend": "eager"}
        gc.collect()
        gc.freeze()  # what is older is not looked through when the engine has ended
        try:
            with _cheaply():
                self.llm = LLM(model=str(checkpoint), **{**settings, **options})
        except BaseException:
            _clean_up()
            raise
        assert bool(self._graphs()) == compiled, f"{checkpoint.name}: compiled {self._graphs()}"

    @contextmanager
    def uncompiled(self) -> Iterator[None]:
        """Meanwhile layers run as they are written."""
        graphs = self._graphs()
        self.forget()
        for module in graphs:
            module.do_not_compile = True
        yield
        for module in graphs:
            module.do_not_compile = False
        self.forget()

    def forget(self) -> None:
        """Empty the caches of prompts, of processed media and of their features."""
        self.llm.reset_prefix_cache()
        self.llm.llm_engine.reset_mm_cache()
        self.llm.llm_engine.reset_encoder_cache()

    def _graphs(self) -> list[Any]:
        """The modules that run as a traced graph."""

        def compiled(model: Any) -> list[Any]:
            return [
                module
                for module in model.modules()
                if getattr(module, "compiled", False) or hasattr(module, "aot_compiled_fn")
            ]

        [found] = self.llm.apply_model(compiled)
        return list(found)

    def chat(self, *conversations: list[dict[str, Any]], tokens: int = 16) -> list[Answer]:
        """Answer conversations greedily, all in one batch."""
        outputs = self.llm.chat(list(conversations), self._greedy(tokens), use_tqdm=False)
        return [_answer(output) for output in outputs]

    def generate(self, prompt: Any, tokens: int = 4, **sampling: Any) -> Answer:
        """Continue a raw prompt greedily."""
        parameters = self._greedy(tokens, **sampling)
        return _answer(self.llm.generate(prompt, parameters, use_tqdm=False)[0])

    @property
    def runner(self) -> Any:
        """vLLM's model runner, the first or the second."""
        core = self.llm.llm_engine.engine_core.engine_core
        return core.model_executor.driver_worker.worker.model_runner

    @property
    def inputs_embeds(self) -> Any:
        """The runner's buffer `[most tokens, hidden]` from which the language model reads."""
        state = getattr(self.runner, "model_state", None)
        return (
            self.runner.inputs_embeds.gpu if state is None else state.encoder_runner.inputs_embeds
        )

    def close(self) -> None:
        """End the engine and free what it held."""
        for module in self._graphs():
            module.cleanup()  # a hook of torch's would keep it until the process ends
        with _cheaply():
            self.llm.llm_engine.engine_core.shutdown()
        del self.llm
        _clean_up()

    @staticmethod
    def _greedy(tokens: int, **others: Any) -> Any:
        from vllm import SamplingParams

        return SamplingParams(temperature=0, max_tokens=tokens, logprobs=5, **others)


@contextmanager
def _cheaply() -> Iterator[None]:
    """Leave out what vLLM repeats for each engine of a process: four of five seconds of its life.

    It looks for garbage nine times among all objects that torch and transformers ever made, and
    searches all modules for the Triton kernels that it replaced when the first engine started.
    """
    from vllm.triton_utils import dispatcher

    with pytest.MonkeyPatch.context() as patch:
        for name in ("collect", "freeze", "unfreeze"):
            patch.setattr(gc, name, lambda *_: 0)
        if dispatcher._registry:
            patch.setattr(dispatcher, "register_kernels", lambda overrides: None)
        yield


def _clean_up() -> None:
    from vllm.distributed import cleanup_dist_env_and_memory

    with _cheaply():
        cleanup_dist_env_and_memory()
    gc.collect()


def _answer(output: Any) -> Answer:
    completion = output.outputs[0]
    top = [{token: entry.logprob for token, entry in step.items()} for step in completion.logprobs]
    cached = output.num_cached_tokens or 0
    return Answer(list(output.prompt_token_ids), list(completion.token_ids), top, cached)


def question(
    text: str, images: Sequence[bytes] = (), videos: Sequence[bytes] = ()
) -> list[dict[str, Any]]:
    """One user turn: images, videos, then text."""
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": data_url(image)}} for image in images
    ]
    for video in videos:
        url = "data:video/mp4;base64," + base64.b64encode(video).decode()
        parts.append({"type": "video_url", "video_url": {"url": url}})
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def data_url(image: bytes) -> str:
    """An image file as a data URL."""
    return "data:image/png;base64," + base64.b64encode(image).decode()


def encoded(image: Any, form: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
