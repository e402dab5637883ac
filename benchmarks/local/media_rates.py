"""How many pictures a second come through, with every core at work, as two servers drive it.

Stock vLLM: its event loop, its threads that load media (`VLLM_MEDIA_LOADING_THREAD_COUNT`) and its
one thread for the model's processor. Sensorium: the same, with worker processes, as many as there
are cores, that do the loading threads' work, and without threads for what is short
(`serving/engine/short_work.py`). Both by vLLM 0.32's own renderer
(`renderer_from_config`, `render_cmpl_async`), up to what is sent to the engine process; no engine
runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sensorium.benchmarks.local.media_paths import cpu_seconds

__all__ = ["FrontEnds", "Rate", "front_ends"]

_ROUNDS = 5
_CONCURRENCY = 16
# An engine process as far as the socket: it receives, and does nothing.
_DRAIN = (
    "import sys, zmq; socket = zmq.Context().socket(zmq.PULL); socket.bind(sys.argv[1])\n"
    "while True: socket.recv_multipart(copy=False)"
)

_Load = Callable[[str], Awaitable[object]]
_Send = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True)
class Rate:
    """Pictures that a front end brings to its engine, `concurrency` requests of one at a time.

    `cores` are those of the machine, which the front end has for itself. `cpu_seconds` are those
    of a picture, which other work on the machine lengthens less.
    """

    path: str
    size: tuple[int, int]
    kind: str
    images_per_second: float
    cpu_seconds: float
    concurrency: int
    cores: int

    @property
    def images_per_core_second(self) -> float:
        """Its share of each core."""
        return self.images_per_second / self.cores


@dataclass(frozen=True)
class FrontEnds:
    """How each server loads a picture for a model, and its renderer of vLLM's."""

    renderers: dict[str, Any]
    loads: dict[str, _Load]
    send: _Send

    def measure_in_turns(self, urls: Sequence[str], size: tuple[int, int], kind: str) -> list[Rate]:
        """Bring all pictures through each front end; medians of five rounds, in turns."""
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in self.loads}
        for number, name in itertools.product(range(_ROUNDS + 1), self.loads):
            used = cpu_seconds()
            seconds = asyncio.run(self._bring(name, urls))
            if number:  # the first round only warms up
                taken[name].append((seconds, cpu_seconds() - used))
        rates, cores = [], len(os.sched_getaffinity(0))
        for name, rounds in taken.items():
            seconds, used = (statistics.median(column) for column in zip(*rounds, strict=True))
            speed, cost = len(urls) / seconds, used / len(urls)
            rates.append(Rate(name, size, kind, speed, cost, _CONCURRENCY, cores))
        return rates

    async def _bring(self, name: str, urls: Sequence[str]) -> float:
        """Seconds that the pictures take, so many at a time."""
        load, renderer = self.loads[name], self.renderers[name]
        prompt = renderer.mm_processor.dummy_inputs.get_dummy_text({"image": 1})
        left = iter(urls)

        async def requests() -> None:
            for url in left:
                data = {"image": [await load(url)]}
                request = {"prompt": prompt, "multi_modal_data": data}
                [inputs] = await renderer.render_cmpl_async([request])
                await self.send(inputs)

        began = time.perf_counter()
        await asyncio.gather(*(requests() for _ in range(_CONCURRENCY)))
        return time.perf_counter() - began


@contextlib.contextmanager
def front_ends(model: str) -> Iterator[FrontEnds]:
    """Stock vLLM's and Sensorium's for a model that takes images; nothing is cached by either."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.multimodal.media import MediaConnector
    from vllm.renderers.registry import renderer_from_config

    from sensorium.model_adapters.engine.prepared import RECIPES
    from sensorium.serving.engine.connector import SensoriumMediaConnector
    from sensorium.serving.engine.native_pictures import recipe_for
    from sensorium.serving.engine.short_work import do_short_work
    from sensorium.serving.media.limits import MediaLimits
    from sensorium.serving.media.pipeline import MediaPipeline
    from sensorium.serving.media.pool import PoolOptions

    options: dict[str, Any] = {"mm_processor_cache_gb": 0, "enable_prefix_caching": False}
    config = AsyncEngineArgs(model=model, **options).create_engine_config()
    renderers = {name: renderer_from_config(config) for name in ("vLLM", "Sensorium")}
    renderer = renderers["Sensorium"]
    do_short_work(renderer)
    recipe = recipe_for(renderer.mm_processor, config.model_config.get_multimodal_config())
    RECIPES.add(recipe)
    workers = PoolOptions(min(8, len(os.sched_getaffinity(0))))
    pipeline = MediaPipeline(MediaLimits(cache_bytes=0), workers)
    pipeline.start()
    SensoriumMediaConnector.pipeline = pipeline
    ours = SensoriumMediaConnector(media_io_kwargs={"image": {"recipe": recipe}})
    loads = {"vLLM": MediaConnector().fetch_image_async, "Sensorium": ours.fetch_image_async}
    try:
        with _drain() as send:
            yield FrontEnds(renderers, loads, send)
    finally:
        SensoriumMediaConnector.pipeline = None
        pipeline.close()
        for renderer in renderers.values():
            renderer.shutdown()


@contextlib.contextmanager
def _drain() -> Iterator[_Send]:
    """What sends an engine's inputs as vLLM does, to a process that only receives them."""
    import zmq
    from vllm.v1.serial_utils import MsgpackEncoder

    encoder = MsgpackEncoder()
    with tempfile.TemporaryDirectory() as folder, zmq.Context() as context:
        address = f"ipc://{folder}/engine"
        process = subprocess.Popen([sys.executable, "-P", "-c", _DRAIN, address])
        try:
            with context.socket(zmq.PUSH) as socket:
                socket.sndhwm = 0
                socket.connect(address)

                async def send(inputs: Any) -> None:
                    for item in inputs["mm_kwargs"]["image"]:
                        socket.send_multipart(encoder.encode(item), copy=False)

                yield send
                socket.close(linger=0)
        finally:
            process.kill()
            process.wait()
