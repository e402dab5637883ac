"""Makes vLLM know composed models; called in each of its processes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensorium.model_adapters.audio_model import AudioModel

__all__ = ["register"]


def register() -> None:
    """Register parser, model, tokenizer and defaults; harmless when called again.

    The model class is registered by name, so that torch code is imported where it is needed only.
    """
    from vllm.model_executor.models.config import MODELS_CONFIG_MAP
    from vllm.model_executor.models.registry import ModelRegistry
    from vllm.renderers.registry import RENDERER_REGISTRY
    from vllm.tokenizers.registry import TokenizerRegistry

    from sensorium.model_adapters.audio_models import AUDIO_MODELS
    from sensorium.model_adapters.engine.config import (
        ARCHITECTURE,
        MASKED_ARCHITECTURE,
        install_parser,
    )
    from sensorium.model_adapters.engine.ends import end_at_stops
    from sensorium.model_adapters.engine.text_config import TEXT_ARCHITECTURE
    from sensorium.model_adapters.registry import families

    install_parser()
    end_at_stops()
    if ARCHITECTURE in MODELS_CONFIG_MAP:
        return
    package = "sensorium.model_adapters.engine"
    for name, model in (
        (ARCHITECTURE, "model:ComposedForCausalLM"),
        (MASKED_ARCHITECTURE, "masked_model:ComposedMaskedForCausalLM"),
        (TEXT_ARCHITECTURE, "text_model:TextForCausalLM"),
        (
            "SensoriumMultiwayLlamaForCausalLM",
            "language_models.multiway_llama:MultiwayLlamaForCausalLM",
        ),
    ):
        ModelRegistry.register_model(name, f"{package}.{model}")
    _replace_native(ModelRegistry)
    # Not by `register`, which warns of what is meant.
    RENDERER_REGISTRY.renderers["mistral"] = (f"{package}.mistral_renderer", "MistralRenderer")
    modes = {"sensorium": "ComposedTokenizer", "sensorium-text": "TextTokenizer"}
    # vLLM hands a tokenizer no overrides of the config: the mode says which family was chosen.
    modes |= {f"sensorium:{family.name}": f"Tokenizer_{family.name}" for family in families()}
    for mode, tokenizer in modes.items():
        TokenizerRegistry.register(mode, f"{package}.tokenizer", tokenizer)
        RENDERER_REGISTRY.register(mode, "vllm.renderers.hf", "HfRenderer")
    MODELS_CONFIG_MAP[ARCHITECTURE] = MODELS_CONFIG_MAP[MASKED_ARCHITECTURE] = _defaults()
    MODELS_CONFIG_MAP[TEXT_ARCHITECTURE] = _text_defaults()
    for entry in AUDIO_MODELS:
        MODELS_CONFIG_MAP.update(dict.fromkeys(entry.architectures, _audio_defaults(entry)))


def _add_sampling_defaults(model_config: Any, authors: Mapping[str, float]) -> None:
    """The authors' defaults for what neither the checkpoint nor the user says."""
    said = {**model_config.try_get_generation_config(), **model_config.override_generation_config}
    added = {name: value for name, value in authors.items() if name not in said}
    model_config.override_generation_config = {**added, **model_config.override_generation_config}


def _replace_native(registry: Any) -> None:
    """Put our classes in the place of vLLM's, which warns of each: that is what is meant."""
    from sensorium.model_adapters.engine.native import ARCHITECTURES

    logger = logging.getLogger("vllm.model_executor.models.registry")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        for architecture, replacement in ARCHITECTURES.items():
            registry.register_model(architecture, replacement)
    finally:
        logger.setLevel(before)


def _defaults() -> type:
    from vllm.model_executor.models.config import VerifyAndUpdateConfig

    from sensorium.model_adapters.engine.prepared import RECIPES

    class ComposedDefaults(VerifyAndUpdateConfig):
        """What a composed model needs and no flag has to say."""

        @staticmethod
        def verify_and_update_model_config(model_config: Any) -> None:
            """Choose tokenizer and defaults, say how media are loaded, cut the vocabulary."""
            config = model_config.hf_config
            plan = config.read_plan()
            model_config.tokenizer_mode = "sensorium"
            if config.chosen:
                model_config.tokenizer_mode += f":{plan.family}"
            # vLLM has asked already whether images can be taken, with a tokenizer of its own
            # choice; where that one cannot read the files, it noted that the model takes text only.
            model_config._supports_multimodal_inputs_cache = {}
            if model_config.generation_config == "auto":
                inside = Path(model_config.model) / plan.spec.tokenizer.folder
                if plan.spec.tokenizer.folder and (inside / "generation_config.json").is_file():
                    model_config.generation_config = str(inside)
                _add_sampling_defaults(model_config, plan.spec.generation)
            media = model_config.get_multimodal_config().media_io_kwargs
            image = media.setdefault("image", {})
            image.setdefault("image_mode", None)
            if plan.image.several is None:
                # Else how a picture is prepared depends on how many there are.
                image["recipe"] = plan.recipe()
                RECIPES.add(image["recipe"])
            if plan.video is not None:
                rule = {"video_backend": "sensorium", "sampling": plan.video.sampling}
                given = media.get("video", {})
                media["video"] = {**rule, "num_frames": plan.video.frames, **given}
            if not model_config.skip_tokenizer_init:
                from sensorium.model_adapters.engine.tokenizer import load_tokenizer

                family = plan.family if config.chosen else None
                tokenizer = load_tokenizer(
                    model_config.tokenizer, model_config.tokenizer_revision, family
                )
                config.authors_tokens = tokenizer.authors_tokens
                config.end_ids = tokenizer.end_ids
                if tokenizer.in_place:
                    model_config.get_multimodal_config().interleave_mm_strings = True

    return ComposedDefaults


def _text_defaults() -> type:
    from vllm.model_executor.models.config import VerifyAndUpdateConfig

    class TextDefaults(VerifyAndUpdateConfig):
        """What a text model in its authors' layout needs and no flag has to say."""

        @staticmethod
        def verify_and_update_model_config(model_config: Any) -> None:
            """Choose the tokenizer, and say where its answers end."""
            model_config.tokenizer_mode = "sensorium-text"
            if not model_config.skip_tokenizer_init:
                from sensorium.model_adapters.engine.text_config import local_folder
                from sensorium.model_adapters.engine.tokenizer import load_text_tokenizer

                folder = local_folder(model_config.tokenizer, model_config.tokenizer_revision)
                model_config.hf_config.end_ids = load_text_tokenizer(folder).end_ids

    return TextDefaults


def _audio_defaults(model: AudioModel) -> type:
    from vllm.model_executor.models.config import VerifyAndUpdateConfig

    class AudioDefaults(VerifyAndUpdateConfig):
        """What an audio model's entry adds to vLLM's own settings for it."""

        @staticmethod
        def verify_and_update_model_config(model_config: Any) -> None:
            """Tell the media path who will hear the sounds; add the authors' sampling."""
            media = model_config.multimodal_config
            if media is not None:
                media.media_io_kwargs.setdefault("audio", {})["heard_by"] = model.name
            if model_config.generation_config == "auto":
                _add_sampling_defaults(model_config, model.generation)

    return AudioDefaults
