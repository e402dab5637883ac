"""What a model family is: data that says how to serve its checkpoints as their authors do.

Nothing here, and nothing in `families`, imports torch, transformers or vLLM: the command line and
the configuration code read specs in processes that must stay light.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sensorium.model_adapters.prompt_style import PromptStyle
from sensorium.model_adapters.tokenizer_kinds import TokenizerKind
from sensorium.model_adapters.translation import Translation
from sensorium.model_adapters.videos import Video

__all__ = [
    "IMAGE_TOKENS",
    "Aspect",
    "FamilySpec",
    "LanguageModel",
    "RawConfig",
    "Shapes",
    "Tokenizer",
    "Tower",
]

RawConfig = Mapping[str, Any]
# Of a checkpoint's tensors, by name.
Shapes = Mapping[str, tuple[int, ...]]
# The config key that says that each image stands between two trained tokens.
IMAGE_TOKENS = "mm_use_im_start_end"
# How an image becomes squares: `pad` with the mean colour, `fit` resized and then padded so,
# `square` squashed to a square of its longer edge and then resized, `crop` as the tower's own
# processor does, `resize` whatever its shape, `views` in a grid of squares and as a whole, `anyres`
# in tiles.
Aspect = Literal["pad", "fit", "square", "crop", "resize", "views", "anyres"]
# LLaVA puts its parts under the language model's own root: Llama's, GPT-2's (and Qwen-1's), NeoX's.
LLAVA_WEIGHTS = (
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

    `config_type` is the `model_type` of its transformers configuration. `renames` are config keys
    that the authors' class calls otherwise, `defaults` what that class assumes where the config is
    silent. `scale` is what embeddings are multiplied by, those of images too: the name of a config
    key, "sqrt_width" for the root of the width, or "" for nothing. `translation` is for a language
    model that the checkpoint names in its own way, `tokenizer` for tokenizer files that
    transformers cannot read. With `masked` its layers treat rows of images in their own way and are
    told which those are.
    """

    config_type: str
    architecture: str
    renames: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    scale: str = ""
    translation: Translation | None = None
    tokenizer: TokenizerKind | None = None
    masked: bool = False

    @property
    def translation_name(self) -> str:
        """The translation's name, empty where the checkpoint's names are vLLM's."""
        return self.translation.name if self.translation is not None else ""

    def fields(self, flat: RawConfig) -> dict[str, Any]:
        """A flat config's fields of the language model, under transformers' names.

        Raises CheckpointError for values that are not served.
        """
        if self.translation is not None:
            return self.translation.fields(flat)
        renamed = {self.renames.get(key, key): value for key, value in flat.items()}
        return {**self.defaults, **renamed}

    def embedding_scale(self, flat: RawConfig) -> float:
        """What features of images are multiplied by before they join the text's embeddings."""
        if not self.scale:
            return 1.0
        if self.scale == "sqrt_width":
            return math.sqrt(flat["hidden_size"])
        return float(flat.get(self.scale, 1.0))


@dataclass(frozen=True)
class Tower:
    """The vision tower: which kinds are taken, and what is kept of its output.

    `select_layer` and `keep_class_token` of None mean "as the checkpoint's config says". With
    `inside` = "ignored" the authors' loader opens the separate tower even where the checkpoint
    holds tower tensors. `drops_first_patch`: authors who cut the first row of the features off also
    where the tower has no class token, and lose a patch. `scales` are the sizes in pixels of
    multi-scale (S2) features, as the authors' code writes them, where the config turns them on and
    names none. `sizes` are pairs of a text in the tower's name and the pixels that the authors then
    take, where they do not go by the tower's config; the first that fits. `key` is the config key
    that names the tower.
    """

    kinds: tuple[str, ...] = ("clip",)
    select_layer: int | None = None
    keep_class_token: bool | None = None
    inside: Literal["used", "ignored"] = "used"
    drops_first_patch: bool = False
    scales: str = ""
    sizes: tuple[tuple[str, int], ...] = ()
    key: str = "mm_vision_tower"


@dataclass(frozen=True)
class Tokenizer:
    """How text becomes ids.

    `slow_llama`: sentencepiece as the slow Llama tokenizer reads it, where the files do not name
    another class. `cuts_vocabulary`: the authors' loader cuts the language model's vocabulary to
    the tokenizer's; otherwise padding rows take part in the softmax. `folder` is the sub-folder
    that holds the files. `legacy` is what the authors' loader says to the slow Llama tokenizer
    (None: what the files say). `strips`: in a conversation, added tokens take the whitespace on
    both of their sides away, as the slow tokenizers of transformers before 4.34 did.
    `starts_with_bos`: the authors' code puts the BOS token before a
    prompt though the tokenizer does not. `in_text` is a pattern of the added tokens that count also
    where a conversation's text holds them, because the authors' own questions do; `in_answers` of
    those that count in earlier answers. All others are text there.
    """

    slow_llama: bool = False
    cuts_vocabulary: bool = True
    folder: str = ""
    legacy: bool | None = None
    strips: bool = False
    starts_with_bos: bool = False
    in_text: str = ""
    in_answers: str = ""


@dataclass(frozen=True)
class FamilySpec:
    """Everything that sets one family apart from the next.

    `language_models` maps the checkpoint's own architecture name to its language model. `prompts`
    holds the conversation styles by architecture, "" being the family's usual one; before that
    `named_prompts` are tried, pairs of a pattern that the checkpoint's lower-case name holds and a
    style, because authors' scripts go by the name. `trained_tokens` are tokens that the tokenizer
    must know when a config key is true; the key `mm_use_im_start_end` also puts its two around each
    image. `generation` are the authors' sampling defaults, by vLLM's names. `aspects` maps
    the config's `image_aspect_ratio` to what is done ("anyres_max" stands for all its numbers); its
    key None is the default, and "*" takes whatever the config says. `several` is what is done
    instead where a prompt holds several images; a newline follows each if `several_newline` is set.
    `video` is what is done with a video, unless the config says otherwise. `towers` are those of
    modalities that have one of their own, by modality; the rest is seen by `tower`. `weights` are
    the prefixes of checkpoint tensor names and where they go (None: knowingly dropped), the first
    match wins. `folders` are sub-folders that hold the weights, each below its own name as prefix
    (none: the checkpoint's folder). `read` rewrites a config of another shape into LLaVA's flat
    keys; where it gives a `mm_vision_config`, that is the tower's config (with its `kind`) and the
    tower lies inside. `refine` goes on by the shapes of the checkpoint's tensors, where its files
    are at hand. `unconfirmed` says what of the published checkpoints was not seen: such a family is
    served only where a user names it. `proof` names the test that compares the family with its
    reference.
    """

    name: str
    title: str
    checkpoints: tuple[str, ...]
    language_models: Mapping[str, LanguageModel]
    prompts: Mapping[str, PromptStyle]
    proof: str
    tower: Tower = field(default_factory=Tower)
    towers: Mapping[str, Tower] = field(default_factory=dict)
    projectors: tuple[str, ...] = ("linear", "mlp")
    aspects: Mapping[str | None, Aspect] = field(
        default_factory=lambda: {None: "crop", "square": "crop", "pad": "pad"}
    )
    tokenizer: Tokenizer = field(default_factory=Tokenizer)
    named_prompts: tuple[tuple[str, PromptStyle], ...] = ()
    trained_tokens: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "mm_use_im_patch_token": ("<im_patch>",),
            IMAGE_TOKENS: ("<im_start>", "<im_end>"),
        }
    )
    generation: Mapping[str, float] = field(default_factory=dict)
    several: Aspect | None = None
    several_newline: bool = False
    video: Video | None = None
    weights: tuple[tuple[str, str | None], ...] = LLAVA_WEIGHTS
    folders: tuple[str, ...] = ()
    read: Callable[[RawConfig], RawConfig] | None = None
    refine: Callable[[RawConfig, Shapes], RawConfig] | None = None
    modalities: tuple[str, ...] = ("text", "image")
    limits: str = ""
    unconfirmed: str = ""

    def tokens_of(self, config: RawConfig) -> tuple[str, ...]:
        """The trained tokens that a config speaks of."""
        found = [tokens for key, tokens in self.trained_tokens.items() if config.get(key)]
        return tuple(token for tokens in found for token in tokens)

    def styles(self) -> tuple[PromptStyle, ...]:
        """Every conversation style of the family."""
        return (*self.prompts.values(), *(style for _, style in self.named_prompts))

    def prompt(self, config: RawConfig, architecture: str, name: str = "") -> PromptStyle:
        """The conversation style of a checkpoint with this config, architecture and name."""
        style = self.prompts.get(architecture, self.prompts[""])
        for pattern, named in self.named_prompts:
            if re.search(pattern, name.lower()):
                style = named
                break
        return self.with_image_tokens(style, config)

    def with_image_tokens(self, style: PromptStyle, config: RawConfig) -> PromptStyle:
        """The style with the trained tokens around images that a config may speak of."""
        if not config.get(IMAGE_TOKENS) or IMAGE_TOKENS not in self.trained_tokens:
            return style
        return style.around_images(*self.trained_tokens[IMAGE_TOKENS])
