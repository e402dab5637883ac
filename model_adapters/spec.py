"""What a model family is: data that says how to serve its checkpoints as their authors do.

Nothing here, and nothing in `families`, imports torch, transformers or vLLM: the command line and
the configuration code read specs in processes that must stay light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sensorium.model_adapters.prompts import PromptStyle
from sensorium.model_adapters.tokenizer_kinds import TokenizerKind
from sensorium.model_adapters.translation import Translation

__all__ = [
    "Aspect",
    "FamilySpec",
    "LanguageModel",
    "RawConfig",
    "Tokenizer",
    "Tower",
]

RawConfig = Mapping[str, Any]
# How an image becomes squares: `pad` with the mean colour, `crop` as the tower's own processor
# does, `anyres` in tiles.
Aspect = Literal["pad", "crop", "anyres"]

# LLaVA puts its parts under the language model's own root: Llama's, GPT-2's (and Qwen-1's), NeoX's.
_LLAVA_WEIGHTS = (
    *(
        (prefix.format(root), target.format(root))
        for root in ("model", "transformer", "gpt_neox")
        for prefix, target in (
            ("{}.vision_tower.vision_tower.", "vision_tower."),
            ("{}.mm_projector.", "projector."),
            ("{}.image_newline", "image_newline"),
            ("{}.", "language_model.{}."),
        )
    ),
    ("lm_head.", "language_model.lm_head."),
    ("embed_out.", "language_model.embed_out."),
)


@dataclass(frozen=True)
class LanguageModel:
    """A language model inside a checkpoint: whose configuration it has, and vLLM's class for it.

    `config_type` is the `model_type` of its transformers configuration. `drop_keys` are config keys
    that are not the language model's own although they stand in the flat config.
    """

    config_type: str
    architecture: str
    drop_keys: frozenset[str] = frozenset()
    translation: Translation | None = None
    tokenizer: TokenizerKind | None = None

    @property
    def translation_name(self) -> str:
        """The translation's name, empty where the checkpoint's names are vLLM's."""
        return self.translation.name if self.translation is not None else ""


@dataclass(frozen=True)
class Tower:
    """The vision tower: which kinds are taken, and what is kept of its output.

    `select_layer` and `keep_class_token` of None mean "as the checkpoint's config says". With
    `inside` = "ignored" the authors' loader opens the separate tower even where the checkpoint
    holds tower tensors.
    """

    kinds: tuple[str, ...] = ("clip",)
    select_layer: int | None = None
    keep_class_token: bool | None = None
    inside: Literal["used", "ignored"] = "used"


@dataclass(frozen=True)
class Tokenizer:
    """How text becomes ids. `slow_llama`: sentencepiece as the slow Llama tokenizer reads it."""

    slow_llama: bool = False


@dataclass(frozen=True)
class FamilySpec:
    """Everything that sets one family apart from the next.

    `language_models` maps the checkpoint's own architecture name to its language model. `prompts`
    holds the conversation styles by architecture, "" being the family's usual one. `aspects` maps
    the config's `image_aspect_ratio` to what is done; its key None is the default. `weights` are
    the prefixes of checkpoint tensor names and where they go (None: knowingly dropped), the first
    match wins. `proof` names the test that compares the family with its reference.
    """

    name: str
    title: str
    checkpoints: tuple[str, ...]
    language_models: Mapping[str, LanguageModel]
    prompts: Mapping[str, PromptStyle]
    proof: str
    tower: Tower = field(default_factory=Tower)
    projectors: tuple[str, ...] = ("linear", "mlp")
    aspects: Mapping[str | None, Aspect] = field(
        default_factory=lambda: {None: "crop", "square": "crop", "pad": "pad"}
    )
    tokenizer: Tokenizer = field(default_factory=Tokenizer)
    weights: tuple[tuple[str, str | None], ...] = _LLAVA_WEIGHTS
    modalities: tuple[str, ...] = ("text", "image")
    limits: str = ""

    def prompt(self, architecture: str) -> PromptStyle:
        """The conversation style of a checkpoint with this architecture."""
        return self.prompts.get(architecture, self.prompts[""])
