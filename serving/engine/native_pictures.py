"""Pictures of the models that vLLM has itself: resized in the media workers where that is the same.

Hugging Face's processors resize in a thread of the server, after the whole picture was decoded and
handed over. For those that do nothing else that depends on its size, a rule says beforehand what
they will make of it.
"""

from __future__ import annotations

from typing import Any

from sensorium.model_adapters.engine.prepared import RECIPES
from sensorium.serving.media.fitting import Fit

__all__ = ["fit_for", "fit_of", "fit_pictures"]

_BICUBIC = 3
_BY_AREA = {"Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast"}
_BY_EDGES = {
    "CLIPImageProcessor",
    "CLIPImageProcessorFast",
    "SiglipImageProcessor",
    "SiglipImageProcessorFast",
}


def fit_pictures(engine: Any) -> None:
    """Have the pictures of this engine's model resized beforehand, where there is a rule for it.

    `engine` is vLLM's, in the process that loads media.
    """
    processor = getattr(engine.renderer, "mm_processor", None)
    config = engine.model_config.multimodal_config
    fit = fit_for(processor, config) if processor is not None and config is not None else None
    if fit is not None:
        config.media_io_kwargs.setdefault("image", {})["recipe"] = fit.recipe()
        RECIPES.add(fit.recipe())


def fit_for(processor: Any, config: Any) -> Fit | None:
    """The rule for a model, by vLLM's processor of it and its multimodal configuration."""
    # Options for the processor may change its sizes; a composed model has a recipe of its own.
    if config.mm_processor_kwargs or "recipe" in config.media_io_kwargs.get("image", {}):
        return None
    try:
        made = processor.info.get_hf_processor()
    except (AttributeError, NotImplementedError, OSError, TypeError, ValueError):
        return None  # some models have none
    return fit_of(getattr(made, "image_processor", None))


def fit_of(image_processor: Any) -> Fit | None:
    """The rule of one of Hugging Face's image processors; None where we know none."""
    kind = type(image_processor).__name__
    if kind not in _BY_AREA | _BY_EDGES or not image_processor.do_resize:
        return None
    if image_processor.resample != _BICUBIC:
        return None
    size = dict(image_processor.size)
    given = {name for name, value in size.items() if value is not None}
    if kind in _BY_AREA:
        step = image_processor.patch_size * image_processor.merge_size
        return Fit("area", size["shortest_edge"], size["longest_edge"], step)
    if given == {"shortest_edge"}:
        return Fit("shorter", size["shortest_edge"])
    if given == {"height", "width"}:
        return Fit("stretch", size["width"], size["height"])
    return None
