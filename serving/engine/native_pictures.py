"""Pictures of the models that vLLM has itself: prepared in the media workers where we know how.

Hugging Face's processors work in a thread of the server, after the whole picture was decoded and
handed over. For models whose class is ours, the workers make the very values (`PictureRule`). For
other processors that do nothing but resize, a rule says beforehand what size they will make of it
(`Fit`).
"""

from __future__ import annotations

from typing import Any

from sensorium.model_adapters.engine.prepared import RECIPES
from sensorium.serving.media.fitting import Fit

__all__ = ["fit_of", "fit_pictures", "recipe_for"]

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
    recipe = recipe_for(processor, config) if processor is not None and config is not None else ""
    if recipe:
        config.media_io_kwargs.setdefault("image", {})["recipe"] = recipe
        RECIPES.add(recipe)


def recipe_for(processor: Any, config: Any) -> str:
    """By which recipe a model's pictures are prepared; "" for those that are left as they are.

    `processor` is vLLM's for the model, `config` its multimodal configuration.
    """
    planned: str | None = config.media_io_kwargs.get("image", {}).get("recipe")
    # A composed model has a recipe of its own; options for the processor may change its sizes.
    unknown = set(config.mm_processor_kwargs or ()) - getattr(processor, "options", frozenset())
    if planned is not None or unknown:
        return planned or ""
    try:
        made = processor.info.get_hf_processor()
    except (AttributeError, NotImplementedError, OSError, TypeError, ValueError):
        return ""  # some models have none
    if squares := getattr(processor, "recipe", ""):
        return str(squares)
    fit = fit_of(getattr(made, "image_processor", None))
    return "" if fit is None else fit.recipe()


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
