"""From the bytes of a picture to what a model takes: Pillow, Hugging Face, vLLM, Sensorium.

vLLM's classes used here, of release 0.32: `MediaConnector.fetch_image`,
`MULTIMODAL_REGISTRY.create_processor`, and on the processor `info.parse_mm_data`,
`info.get_hf_processor` and `dummy_inputs.get_dummy_text`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass

import pybase64
from PIL import Image

from sensorium.benchmarks.workload.media import MediaFile
from sensorium.benchmarks.workload.photos import draw_photo, encode_photo
from sensorium.serving.errors import UserError

__all__ = ["Cost", "measure", "model_paths"]

Path = Callable[[str], object]


@dataclass(frozen=True)
class Cost:
    """What a path costs for pictures of one size and format, a picture.

    CPU seconds are those of all threads of the process, so a busy machine does not lengthen them.
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


def model_paths(model: str) -> dict[str, Path]:
    """The paths by name: `decode` alone, the model's Hugging Face processor, vLLM's, Sensorium's.

    Sensorium's is what a worker of its server does, with and without `--media-exact`, and then the
    model's processor; the hand-over between processes is not in it. Raises UserError for a model
    that takes no images.
    """
    import torch
    from vllm.config import ModelConfig
    from vllm.multimodal import MULTIMODAL_REGISTRY
    from vllm.multimodal.media import MediaConnector
    from vllm.plugins import load_general_plugins

    from sensorium.serving.engine.native_pictures import fit_for

    torch.set_num_threads(1)
    load_general_plugins()
    config = ModelConfig(model=model)
    if not config.is_multimodal_model:
        raise UserError(f"{model} takes no images")
    processor = MULTIMODAL_REGISTRY.create_processor(config)
    prompt = processor.dummy_inputs.get_dummy_text({"image": 1})
    connector = MediaConnector()
    images = getattr(processor.info.get_hf_processor(), "image_processor", None)

    def vllm(url: str) -> object:
        items = processor.info.parse_mm_data({"image": [connector.fetch_image(url)]})
        return processor(prompt, items)

    options = config.get_multimodal_config()
    fit = fit_for(processor, options)
    planned = options.media_io_kwargs.get("image", {}).get("recipe", "")
    recipe = fit.recipe() if fit is not None else planned

    def sensorium(url: str, exact: bool) -> object:
        content = pybase64.b64decode(url.partition(",")[2], validate=True)
        items = processor.info.parse_mm_data({"image": [_prepared(content, recipe, exact)]})
        return processor(prompt, items)

    found: dict[str, Path] = {"decode": decode}
    if images is not None:  # a family in its authors' layout has no processor there
        found["Hugging Face"] = lambda url: images(images=decode(url), return_tensors="pt")
    found["vLLM"] = vllm
    found["Sensorium"] = lambda url: sensorium(url, False)
    found["Sensorium, exact"] = lambda url: sensorium(url, True)
    return found


def _prepared(content: bytes, recipe: str, exact: bool) -> object:
    """A picture as the server's media path hands it to vLLM's processor."""
    from vllm.multimodal.media.base import MediaWithBytes

    from sensorium.model_adapters.engine.prepared import PreparedImage
    from sensorium.serving.media.image_work import image_job

    digest = hashlib.sha256(content).digest()
    header = {"max_pixels": 1 << 30, "exact": exact, "recipe": recipe, "mode": "RGB"}
    answer, pixels = image_job({**header, "background": (255, 255, 255)}, content)
    if "shape" in answer:
        return MediaWithBytes(PreparedImage(answer["size"], pixels, recipe), digest)
    picture = Image.frombuffer("RGB", answer["drawn"], pixels, "raw", "RGB", 0, 1)
    return MediaWithBytes(picture, digest)


def measure(
    name: str, path: Path, size: tuple[int, int], kind: str, *, count: int, seed: int = 0
) -> Cost:
    """Bring `count` different pictures through the path, after two that do not count."""
    files = [encode_photo(draw_photo(size, f"{seed}/{i}"), kind) for i in range(count + 2)]
    urls = [_data_url(file) for file in files]
    for url in urls[:2]:
        path(url)
    began, cpu = time.perf_counter(), time.process_time()
    for url in urls[2:]:
        path(url)
    used, took = time.process_time() - cpu, time.perf_counter() - began
    return Cost(name, size, kind, used / count, took / count)


def _data_url(file: MediaFile) -> str:
    return f"data:{file.media_type};base64,{base64.b64encode(file.content).decode('ascii')}"
