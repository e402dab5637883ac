"""The composed model's configuration, and vLLM's parser for configs in their authors' layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig
from vllm.transformers_utils import config as vllm_config
from vllm.transformers_utils.config_parser_base import ConfigParserBase

from sensorium.model_adapters.choices import with_family
from sensorium.model_adapters.engine.text_config import find_meta_folders, text_config
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models.meta_llama import read_meta_folder
from sensorium.model_adapters.language_models.text_models import text_model_of
from sensorium.model_adapters.plan import Plan, TowerPlan, make_plan, text_fields
from sensorium.model_adapters.registry import FAMILY_KEY, Match, families, recognise
from sensorium.model_adapters.towers import KINDS

__all__ = [
    "ARCHITECTURE",
    "MASKED_ARCHITECTURE",
    "ComposedConfig",
    "compose",
    "install_parser",
    "tower_config",
]

ARCHITECTURE = "SensoriumComposedForCausalLM"
MASKED_ARCHITECTURE = "SensoriumComposedMaskedForCausalLM"


class ComposedConfig(PreTrainedConfig):
    """Tower, language model and plan of a composed model.

    `chosen`: the family was named by the user, not told from the config.
    """

    model_type = "sensorium_composed"
    sub_configs = {"text_config": AutoConfig, "vision_config": AutoConfig}  # noqa: RUF012

    def __init__(
        self,
        text_config: PreTrainedConfig | None = None,
        vision_config: PreTrainedConfig | None = None,
        plan: Mapping[str, Any] | None = None,
        chosen: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("architectures", [ARCHITECTURE])
        self.text_config = text_config
        self.vision_config = vision_config
        self.plan = dict(plan or {})
        self.chosen = chosen
        super().__init__(**kwargs)

    def get_text_config(self, *args: Any, **kwargs: Any) -> Any:
        """The language model's configuration."""
        return self.text_config

    def read_plan(self) -> Plan:
        """The checkpoint's plan."""
        return Plan.from_dict(self.plan)


def compose(match: Match, plan: Plan, name: str) -> ComposedConfig:
    """The configuration of a recognised checkpoint whose config was read into `plan`."""
    text = AutoConfig.for_model(
        plan.text_type,
        **match.language_model.fields(text_fields(match.config)),
        architectures=[plan.text_architecture],
        dtype=plan.dtype,
    )
    return ComposedConfig(
        architectures=[MASKED_ARCHITECTURE if plan.masked else ARCHITECTURE],
        text_config=text,
        vision_config=tower_config(plan.tower),
        plan=plan.to_dict(),
        chosen=match.chosen,
        dtype=plan.dtype,
        tie_word_embeddings=bool(text.tie_word_embeddings),
        eos_token_id=text.eos_token_id,
        name_or_path=name,
    )


def tower_config(tower: TowerPlan) -> PreTrainedConfig:
    """A transformers configuration where the kind has one, else the bare fields."""
    known = KINDS[tower.kind].config_type
    fields = {key: value for key, value in tower.config.items() if key != "model_type"}
    if known:
        config: PreTrainedConfig = AutoConfig.for_model(known, **fields)
        return config
    return PreTrainedConfig(**fields)


def install_parser() -> None:
    """Put our parser before the one that vLLM has for "hf"; harmless when called again.

    The parser that was there, vLLM's own or another plugin's, gets every config that is not ours.
    Replacing the entry directly does what `register_config_parser` does, less two lines of log in
    every process.
    """
    parsers = vllm_config._CONFIG_FORMAT_TO_CONFIG_PARSER
    previous = parsers["hf"]
    if not getattr(previous, "reads_composed", False):
        parsers["hf"] = _chained(previous)
        find_meta_folders()


def _chained(previous: type[ConfigParserBase]) -> type[ConfigParserBase]:
    class ChainedParser(ConfigParserBase):
        """Reads configs in their authors' layout and passes all others on."""

        reads_composed = True

        def parse(
            self,
            model: str | Path,
            trust_remote_code: bool,
            revision: str | None = None,
            code_revision: str | None = None,
            **kwargs: Any,
        ) -> Any:
            """The raw config and the configuration made of it."""
            raw = _read(model, revision)
            overrides = kwargs.get("hf_overrides")
            if raw is not None:
                given = overrides if isinstance(overrides, dict) else {}
                raw = _with_choice({**with_family(raw, str(model)), **given}, str(model))
            text = None if raw is None else text_model_of(raw)
            if raw is not None and text is not None:
                return raw, text_config(raw, text)
            match = None if raw is None else recognise(raw)
            if raw is None or match is None:
                parser: Any = previous()
                return parser.parse(model, trust_remote_code, revision, code_revision, **kwargs)
            folder = Path(model) if Path(model).is_dir() else None
            try:
                plan = make_plan(match, folder)
            except CheckpointError as error:
                place = "" if str(model) in str(error) else f"{Path(model) / 'config.json'}: "
                raise CheckpointError(f"{place}{error}") from error.__cause__
            return raw, compose(match, plan, str(model))

    return ChainedParser


# Unconfirmed families that overrides named, by model: vLLM reads a config again without them, for
# the defaults of sampling.
_NAMED: dict[str, str] = {}


def _with_choice(raw: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The config with the family that overrides named when it was read before."""
    if FAMILY_KEY in raw:
        _NAMED[model] = str(raw[FAMILY_KEY])
    elif model in _NAMED and families()[_NAMED[model]].unconfirmed:
        return {**raw, FAMILY_KEY: _NAMED[model]}
    return dict(raw)


def _read(model: str | Path, revision: str | None) -> dict[str, Any] | None:
    """The config of a folder or hub id; None where there is none that we can read."""
    path = Path(model) / "config.json"
    if path.is_file():
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{path} is not valid JSON: {error}") from None
        return raw if isinstance(raw, dict) else None
    if Path(model).exists():
        return read_meta_folder(Path(model))
    try:
        raw, _ = PreTrainedConfig.get_config_dict(model, revision=revision)
    except (OSError, ValueError):
        return None  # vLLM's parser says what is wrong
    return dict(raw)
