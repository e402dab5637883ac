"""The way of prepared pictures through vLLM's processor: straight into the engine's inputs.

vLLM 0.32 parses what its cache lacks once more, calls a Hugging Face processor and takes its batch
apart again (`BaseMultiModalProcessor._cached_apply_hf_processor`). None of that has anything to do
where squares came ready from a media worker. Names, cache and placeholders stay vLLM's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from vllm.exceptions import VLLMValidationError
from vllm.multimodal.inputs import (
    MultiModalFieldConfig,
    MultiModalFieldElem,
    MultiModalKwargsItem,
    MultiModalKwargsItems,
)
from vllm.multimodal.media.base import MediaWithBytes
from vllm.multimodal.parse import ImageProcessorItems, MultiModalDataItems
from vllm.multimodal.processing import BaseMultiModalProcessor, ProcessorInputs, TimingContext
from vllm.multimodal.processing.processor import MultiModalProcessingResult

from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.picture_rule import PictureRule

__all__ = ["Fields", "PreparedInputs", "RuledInputs"]

# By key, how vLLM batches a field, and each picture's part of it.
Fields = Mapping[str, tuple[MultiModalFieldConfig, Sequence[torch.Tensor]]]


class PreparedInputs(BaseMultiModalProcessor[Any]):
    """Goes before a processor of vLLM's; what a request has beside prepared pictures is its.

    A subclass says what the pictures' recipe is and which fields they become.
    """

    recipe: str
    """By which rule pictures for this model are prepared; "" where there is none."""

    def prepared_fields(self, pictures: Sequence[PreparedImage]) -> Fields:
        """What the Hugging Face processor's batch would be taken apart into."""
        raise NotImplementedError

    def _cached_apply_hf_processor(
        self, inputs: ProcessorInputs, timing_ctx: TimingContext
    ) -> MultiModalProcessingResult:
        pictures = _prepared(inputs.mm_data_items)
        if pictures is None:
            return super()._cached_apply_hf_processor(inputs, timing_ctx)
        if len(inputs.mm_data_items) == 1:
            return self._apply_to_pictures(inputs, pictures, timing_ctx)
        if inputs.cache is not None:
            # Else what one part adds might push out what the other has there.
            for names in self._get_mm_hashes(inputs).values():
                for name in names:
                    inputs.cache.touch_sender_cache_item(name)
        theirs = super()._cached_apply_hf_processor(_with(inputs, images=False), timing_ctx)
        ours = self._apply_to_pictures(_with(inputs, images=True), pictures, timing_ctx)
        return MultiModalProcessingResult(
            ours.prompt_ids,
            MultiModalKwargsItems({**theirs.kwargs, **ours.kwargs}),
            {**theirs.hashes, **ours.hashes},
            {**theirs.prompt_updates, "image": ours.prompt_updates["image"]},
        )

    def _apply_to_pictures(
        self,
        inputs: ProcessorInputs,
        pictures: Sequence[PreparedImage | None],
        timing_ctx: TimingContext,
    ) -> MultiModalProcessingResult:
        with timing_ctx.record("get_mm_hashes"):
            hashes = self._get_mm_hashes(inputs)
        with timing_ctx.record("get_cache_missing_items"):
            names, cache = hashes["image"], inputs.cache
            cached = [False] * len(names) if cache is None else cache.is_cached(names)
            missing = self._missing(pictures, cached)
        options = inputs.hf_processor_mm_kwargs
        with timing_ctx.record("apply_hf_processor"):
            items = MultiModalKwargsItems({"image": _items(self.prepared_fields(missing))})
            seen = MultiModalDataItems({"image": ImageProcessorItems(missing)})
            updates = self._get_mm_prompt_updates(seen, options, items)
        if cache is not None:
            with timing_ctx.record("merge_mm_kwargs"):
                try:
                    items, updates = self._merge_mm_kwargs(
                        cache,
                        mm_hashes=hashes,
                        mm_is_cached={"image": cached},
                        mm_missing_kwargs=items,
                        mm_missing_prompt_updates=updates,
                    )
                finally:
                    cache.release_sender_touches()
        prompt = self._postprocess_prompt(inputs.prompt)
        return MultiModalProcessingResult(prompt, items, hashes, updates)

    def _missing(
        self, pictures: Sequence[PreparedImage | None], cached: Sequence[bool]
    ) -> list[PreparedImage]:
        """The pictures that vLLM's cache does not have."""
        missing = []
        for index, (picture, is_cached) in enumerate(zip(pictures, cached, strict=True)):
            if is_cached:
                continue
            if picture is None:
                raise VLLMValidationError(
                    f"image {index} was given by its uuid alone, and the server has it no longer: "
                    "send it once more"
                )
            if picture.recipe != self.recipe:
                raise VLLMValidationError("the picture was prepared for another model")
            missing.append(picture)
        return missing


class RuledInputs(PreparedInputs):
    """Goes before a processor whose pictures are made by a rule, if by any that we know.

    `options` are those of the server's `mm_processor_kwargs` that the rule takes in.
    """

    options: ClassVar[frozenset[str]] = frozenset()

    def read_rule(self) -> PictureRule | None:
        """The rule that the model's own processor follows; None where we know none."""
        raise NotImplementedError

    @cached_property
    def rule(self) -> PictureRule | None:
        """What `read_rule` found."""
        return self.read_rule()

    @cached_property
    def recipe(self) -> str:  # type: ignore[override]
        """The rule as text; "" where we know none."""
        return "" if self.rule is None else self.rule.recipe()


def _prepared(items: MultiModalDataItems) -> list[PreparedImage | None] | None:
    """The request's pictures, None for those of which it brings the name only.

    None in all where it has none, or any of them is not prepared.
    """
    images = items.get("image")
    if not isinstance(images, ImageProcessorItems):
        return None
    pictures = []
    for item in images.data:
        picture = item.media if isinstance(item, MediaWithBytes) else item
        if not (picture is None or isinstance(picture, PreparedImage)):
            return None
        pictures.append(picture)
    return pictures if any(picture is not None for picture in pictures) else None


def _with(inputs: ProcessorInputs, *, images: bool) -> ProcessorInputs:
    """The request with its images alone, or without them."""
    items = inputs.mm_data_items
    kept = {name: part for name, part in items.items() if (name == "image") is images}
    return replace(inputs, mm_data_items=MultiModalDataItems(kept))


def _items(fields: Fields) -> list[MultiModalKwargsItem]:
    columns = [
        [(key, MultiModalFieldElem(data=part, field=config.field)) for part in parts]
        for key, (config, parts) in fields.items()
    ]
    return [MultiModalKwargsItem(dict(row)) for row in zip(*columns, strict=True)]
