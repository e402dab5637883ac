"""From the bytes of a picture to what an engine process has: Pillow, Hugging Face, vLLM, Sensorium.

vLLM's classes used here, of release 0.32: `MediaConnector.fetch_image`,
`MULTIMODAL_REGISTRY.create_processor`, `MsgpackEncoder`, `MsgpackDecoder`, and on the processor
`info.parse_mm_data`, `info.get_hf_processor` and `dummy_inputs.get_dummy_text`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as Pathname
from typing import Any

import psutil
import pybase64
from PIL import Image

from sensorium.benchmarks.workload.media import MediaFile
from sensorium.benchmarks.workload.photos import draw_photo, encode_photo
from sensorium.serving.errors import UserError

__all__ = ["Cost", "cpu_seconds", "measure_in_turns", "model_paths", "photo_urls"]

_ROUNDS = 5

Path = Callable[[str], object]


@dataclass(frozen=True)
class Cost:
    """What a path costs for pictures of one size and format, a picture.

    CPU seconds are those of all threads of the process and of its workers: a busy machine does not
    lengthen them by much.
    """

    path: str
    size: tuple[int, int]
    kind: str
    cpu_seconds: float
    seconds: float

    @property
    def images_per_core_second(self) -> float:
        """How many a core brings through in a second."""
        return 1 / self.cpu_seconds if self.cpu_seconds else 0.0


def decode(url: str) -> Image.Image:
    """Base64 and the file's own compression, to RGB, with Pillow."""
    content = base64.b64decode(url.partition(",")[2])
    return Image.open(io.BytesIO(content)).convert("RGB")


@contextlib.contextmanager
def model_paths(model: str) -> Iterator[dict[str, Path]]:
    """The paths by name: `decode` alone, the model's Hugging Face processor, vLLM's, Sensorium's.

    vLLM's and Sensorium's are whole: decoding, the model's processor, hashes, and the way to the
    engine process; Sensorium's, with and without `--media-exact`, through a worker process of its
    server. Raises UserError for a model that takes no images.
    """
    import torch
    from vllm.config import ModelConfig
    from vllm.multimodal import MULTIMODAL_REGISTRY
    from vllm.multimodal.media import MediaConnector
    from vllm.plugins import load_general_plugins

    from sensorium.serving.engine.native_pictures import recipe_for

    torch.set_num_threads(1)
    load_general_plugins()
    config = ModelConfig(model=model)
    if not config.is_multimodal_model:
        raise UserError(f"{model} takes no images")
    processor = MULTIMODAL_REGISTRY.create_processor(config)
    prompt = processor.dummy_inputs.get_dummy_text({"image": 1})
    connector = MediaConnector()
    images = getattr(processor.info.get_hf_processor(), "image_processor", None)
    recipe = recipe_for(processor, config.get_multimodal_config())
    with _engine() as hand_over, _workers(recipe, False) as fast, _workers(recipe, True) as exact:

        def through(load: Path) -> Path:
            def path(url: str) -> None:
                items = processor.info.parse_mm_data({"image": [load(url)]})
                hand_over(processor(prompt, items))

            return path

        found: dict[str, Path] = {"decode": decode}
        if images is not None:  # a family in its authors' layout has no processor there
            found["Hugging Face"] = lambda url: images(images=decode(url), return_tensors="pt")
        found["vLLM"] = through(connector.fetch_image)
        found["Sensorium"] = through(fast)
        found["Sensorium, exact"] = through(exact)
        yield found


@contextlib.contextmanager
def _engine() -> Iterator[Callable[[Any], None]]:
    """Sends what a processor made as vLLM does, and receives it as its engine process does."""
    import zmq
    from vllm.multimodal.inputs import MultiModalKwargsItem
    from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder

    encoder, decoder = MsgpackEncoder(), MsgpackDecoder(MultiModalKwargsItem)
    with tempfile.TemporaryDirectory() as folder, zmq.Context() as context:
        address = f"ipc://{folder}/engine"
        with context.socket(zmq.PULL) as theirs, context.socket(zmq.PUSH) as ours:
            theirs.bind(address)
            ours.connect(address)

            def hand_over(inputs: Any) -> None:
                for item in inputs["mm_kwargs"]["image"]:
                    ours.send_multipart(encoder.encode(item), copy=False)
                    decoder.decode(theirs.recv_multipart(copy=False))

            yield hand_over


@contextlib.contextmanager
def _workers(recipe: str, exact: bool) -> Iterator[Path]:
    """Pictures through a worker process, as the server's media path hands them to vLLM."""
    from vllm.multimodal.media.base import MediaWithBytes

    from sensorium.model_adapters.engine.prepared import PreparedImage
    from sensorium.serving.media.limits import MediaLimits
    from sensorium.serving.media.pipeline import MediaPipeline
    from sensorium.serving.media.pool import PoolOptions
    from sensorium.serving.media.prepared import Recipe

    pipeline = MediaPipeline(MediaLimits(cache_bytes=0), PoolOptions(workers=1), exact=exact)
    loop = asyncio.new_event_loop()
    pipeline.start()

    def load(url: str) -> object:
        content = pybase64.b64decode(url.partition(",")[2], validate=True)
        picture = loop.run_until_complete(pipeline.picture(content, Recipe(recipe)))
        if picture.mode:
            return MediaWithBytes(picture.image(), picture.digest)
        return MediaWithBytes(PreparedImage(picture.size, picture.pixels, recipe), picture.digest)

    try:
        yield load
    finally:
        pipeline.close()
        loop.close()


def cpu_seconds() -> float:
    """Of all threads of this process, and of the worker processes it has."""
    used = time.process_time()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(OSError):
            for thread in Pathname(f"/proc/{child.pid}/task").iterdir():
                used += int((thread / "schedstat").read_text().split()[0]) / 1e9
    return used


def measure_in_turns(
    paths: Mapping[str, Path], size: tuple[int, int], kind: str, *, count: int, seed: int = 0
) -> list[Cost]:
    """Bring `count` different pictures through each path; medians of five rounds.

    The paths take turns, so that a machine that becomes slower does so for all of them.
    """
    urls = photo_urls(size, kind, count=count, seed=seed)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
    for number in range(_ROUNDS + 1):
        for name, path in paths.items():
            began, cpu = time.perf_counter(), cpu_seconds()
            # The first round only warms up.
            for url in urls if number else urls[:2]:
                path(url)
            used, took = cpu_seconds() - cpu, time.perf_counter() - began
            if number:
                taken[name].append((used / count, took / count))
    return [
        Cost(name, size, kind, *(statistics.median(column) for column in zip(*rounds, strict=True)))
        for name, rounds in taken.items()
    ]


def photo_urls(size: tuple[int, int], kind: str, *, count: int, seed: int = 0) -> list[str]:
    """Data URLs of so many different pictures."""
    files = [encode_photo(draw_photo(size, f"{seed}/{i}"), kind) for i in range(count)]
    return [_data_url(file) for file in files]


def _data_url(file: MediaFile) -> str:
    return f"data:{file.media_type};base64,{base64.b64encode(file.content).decode('ascii')}"
