"""The composed model: a vision tower, a projector and a language model, merged in the prompt.

vLLM caches what it learns about this class by the hash of this file alone: interface flags and
base classes belong here, not into a base module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from vllm.config import VllmConfig
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader
from vllm.model_executor.models.interfaces import (
    MultiModalEmbeddings,
    SupportsLoRA,
    SupportsMultiModal,
    SupportsPP,
)
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.utils import init_vllm_registered_model, maybe_prefix
from vllm.multimodal import MULTIMODAL_REGISTRY

from sensorium.model_adapters.engine.config import tower_config
from sensorium.model_adapters.engine.embedding import merge, prepare
from sensorium.model_adapters.engine.fp8_projection import Fp8Projection, fp8_projection
from sensorium.model_adapters.engine.packing import project, split
from sensorium.model_adapters.engine.pixels import centred, fold_normalisation, normalised
from sensorium.model_adapters.engine.processor import DummyInputs, Information, MediaInputs
from sensorium.model_adapters.engine.projectors import build_projector
from sensorium.model_adapters.engine.runner_buffer import follow_runners
from sensorium.model_adapters.engine.sources import WeightSources
from sensorium.model_adapters.engine.towers import build_tower, feature_width, features
from sensorium.model_adapters.engine.translator import Translator, head_size
from sensorium.model_adapters.engine.weights import load_strictly
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models import TRANSLATIONS
from sensorium.model_adapters.layouts import Arrangement, ViewsLayout, arrange
from sensorium.model_adapters.projector_types import FEED_FORWARD
from sensorium.model_adapters.prompt_style import IMAGE_MARK, VIDEO_MARK
from sensorium.model_adapters.towers import KINDS
from sensorium.model_adapters.weight_names import original_name

__all__ = ["ComposedForCausalLM"]


@MULTIMODAL_REGISTRY.register_processor(MediaInputs, info=Information, dummy_inputs=DummyInputs)
class ComposedForCausalLM(nn.Module, SupportsMultiModal, SupportsPP, SupportsLoRA):
    """Any known tower, projector and language model, as the checkpoint's plan says."""

    packed_modules_mapping = {  # noqa: RUF012
        "qkv_proj": ["q_proj", "k_proj", "v_proj"],
        "gate_up_proj": ["gate_proj", "up_proj"],
    }

    fp8: Fp8Projection | None = None

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        follow_runners()
        self.fp8 = fp8_projection(vllm_config)
        self.config = vllm_config.model_config.hf_config
        self.plan = self.config.read_plan()
        self.checkpoint = vllm_config.model_config.model
        text = self.config.text_config
        with self._mark_tower_model(vllm_config, set(self.plan.modalities)):
            for part, tower in self.plan.parts().items():
                module = build_tower(tower, tower_config(tower), maybe_prefix(prefix, part))
                setattr(self, part, module)
            self.projector = build_projector(
                self.plan.projector,
                feature_width(self.vision_tower, self.plan),
                text.hidden_size,
            )
            if self.plan.has_newline:
                self.image_newline = nn.Parameter(torch.empty(text.hidden_size))
        with self._mark_language_model(vllm_config):
            self.language_model = init_vllm_registered_model(
                vllm_config,
                hf_config=text,
                prefix=maybe_prefix(prefix, "language_model"),
            )
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors
        self._sources = WeightSources(self.checkpoint, self.plan)
        self._folded: set[str] = set()

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        """The text that stands for an image or a video in a prompt."""
        marks = {"image": IMAGE_MARK, "video": VIDEO_MARK}
        if modality not in marks:
            raise ValueError(f"this model takes images and videos, got {modality}")
        return marks[modality]

    def embed_multimodal(self, **kwargs: Any) -> MultiModalEmbeddings:
        """Projected features of each image and each video, `[tokens, hidden]`."""
        if self.fp8 is not None:
            self.fp8.decide(self)
        arrangements = []
        if kwargs.get("pixel_values") is not None:
            sizes = torch.as_tensor(kwargs["image_sizes"]).reshape(-1, 2).tolist()
            layout = self.plan.layout()
            if isinstance(layout, ViewsLayout):
                joined = [arrange(layout.joined(), *size) for size in sizes]
                grids = [layout.tiles(*size) for size in sizes]
                return self._embed("image", kwargs["pixel_values"], joined, grids)
            several = torch.as_tensor(kwargs["several"]).reshape(-1).tolist()
            for (width, height), among in zip(sizes, several, strict=True):
                arrangements.append(arrange(self.plan.layout(several=among), width, height))
            return self._embed("image", kwargs["pixel_values"], arrangements)
        if kwargs.get("video_pixels") is not None:
            layout = self.plan.frame_layout()
            for frames in torch.as_tensor(kwargs["frames"]).reshape(-1).tolist():
                arrangements.append(layout.arrange(frames))
            return self._embed("video", kwargs["video_pixels"], arrangements)
        return []

    def _embed(
        self,
        modality: str,
        pixels: Any,
        arrangements: Sequence[Arrangement],
        grids: Sequence[tuple[int, int]] = (),
    ) -> list[torch.Tensor]:
        """Tokens of each image or video from the pixels of all, `[squares, 3, size, size]`.

        `grids` are the images' squares (across, down) where several become one square's features.
        """
        if not isinstance(pixels, torch.Tensor):
            pixels = torch.cat(list(pixels))
        part = self.plan.part_of(modality)
        tower, plan = getattr(self, part), self.plan.parts()[part]
        seen = features(tower, plan, self._pixels(pixels, part), grids)
        halves = split(self.projector, arrangements, by_row=self.plan.projector.by_row)
        scaled = replace(halves, tail=lambda rows: self._scaled(halves.tail(rows)))
        return project(seen, scaled, arrangements, self._newline(modality, seen))

    def _newline(self, modality: str, features: torch.Tensor) -> torch.Tensor | None:
        """What stands where an arrangement has `NEWLINE`."""
        if modality == "video" and self.plan.frame_layout().has_blanks:
            return self._scaled(self.projector(torch.zeros_like(features[:1, 0])))[0]
        newline: torch.Tensor | None = getattr(self, "image_newline", None)
        return newline

    def _scaled(self, projected: torch.Tensor) -> torch.Tensor:
        scale = self.plan.embedding_scale
        return projected if scale == 1 else projected * scale

    def embed_input_ids(
        self,
        input_ids: torch.Tensor,
        multimodal_embeddings: MultiModalEmbeddings | None = None,
        *,
        is_multimodal: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The language model's input `[tokens, hidden]`; ids outside its table count as 0."""
        merged = merge(self, input_ids, multimodal_embeddings, is_multimodal)
        if merged is not None:
            return merged
        theirs: torch.Tensor = super().embed_input_ids(
            input_ids, multimodal_embeddings, is_multimodal=is_multimodal
        )
        return theirs

    def _pixels(self, pixels: torch.Tensor, part: str) -> torch.Tensor:
        """What a tower takes, from pixels of 0 to 255."""
        dtype = next(getattr(self, part).parameters()).dtype
        if part in self._folded:
            return centred(pixels, dtype)
        image = self.plan.pixels_of(part)
        return normalised(pixels, image.mean, image.std, dtype)

    def _embed_text_input_ids(
        self, input_ids: torch.Tensor, embed_input_ids: Any, *, is_multimodal: Any
    ) -> torch.Tensor:
        # An id past the table, which a prompt can hold, would end the engine for everybody.
        past = input_ids >= self.config.text_config.vocab_size
        embedded: torch.Tensor = embed_input_ids(input_ids.masked_fill(past, 0))
        return embedded

    def forward(
        self,
        input_ids: torch.Tensor,
        positions: torch.Tensor,
        intermediate_tensors: Any = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Hidden states of the language model."""
        if intermediate_tensors is not None:
            inputs_embeds = None
        return self.language_model(
            input_ids, positions, intermediate_tensors, inputs_embeds=inputs_embeds
        )

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Logits; rows past the tokenizer's vocabulary, which the authors cut off, are -inf."""
        logits: torch.Tensor | None = self.language_model.compute_logits(hidden_states)
        tokens = getattr(self.config, "authors_tokens", None)
        if logits is not None and tokens is not None and tokens < logits.shape[-1]:
            logits[..., tokens:] = -torch.inf
        return logits

    @property
    def allow_patterns_overrides(self) -> list[str] | None:
        """The first weight file; the others follow in `secondary_weights`."""
        return self._sources.first

    @property
    def secondary_weights(self) -> Iterator[DefaultModelLoader.Source]:
        """The other weight files; see `WeightSources`."""
        yield from self._sources.rest()

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Load strictly; see `load_strictly` for the errors."""
        spec = self.plan.spec
        try:
            loaded = load_strictly(
                self,
                self._sources.merged(weights, self.config.text_config.vocab_size),
                self._sources.locate,
                lambda name: original_name(name, spec),
                Translator(
                    TRANSLATIONS.get(self.plan.text_translation),
                    "language_model.",
                    head_size(self.config.text_config),
                ),
            )
        except CheckpointError as error:
            raise CheckpointError(f"{self.checkpoint}: {error}") from error.__cause__
        for part, tower in self.plan.parts().items():
            if path := KINDS[tower.kind].patch_embedding:
                image = self.plan.pixels_of(part)
                embedding = self.get_submodule(f"{part}.{path}")
                fold_normalisation(embedding, image.mean, image.std)
                self._folded.add(part)
                loaded.add(f"{part}.{path}.bias")  # CLIP's checkpoints have none
        prepare(self)
        return loaded

    def connectors(self) -> tuple[str, ...]:
        """The projector, where linear layers are most of it."""
        return ("projector",) if self.plan.projector.kind in FEED_FORWARD else ()

    def get_mm_mapping(self) -> MultiModelKeys:
        """The parts by name, for LoRA."""
        return MultiModelKeys.from_string_field(
            language_model="language_model",
            connector="projector",
            tower_model=list(self.plan.parts()),
        )
