"""The configuration of language models alone, and the folder where their small files are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig
from vllm.transformers_utils import config as vllm_config
from vllm.transformers_utils.repo_utils import get_non_weight_snapshot_path

from sensorium.model_adapters.language_models.meta_llama import read_meta_folder
from sensorium.model_adapters.language_models.text_model import TextModel

__all__ = ["TEXT_ARCHITECTURE", "find_meta_folders", "local_folder", "text_config"]

TEXT_ARCHITECTURE = "SensoriumTextForCausalLM"


def text_config(raw: Mapping[str, Any], model: TextModel) -> PreTrainedConfig:
    """The transformers config of a checkpoint in its authors' layout.

    It says which translation its tensors need and which of vLLM's classes computes it.
    """
    language_model = model.language_model
    translation = language_model.translation
    assert translation is not None
    config: PreTrainedConfig = AutoConfig.for_model(
        language_model.config_type,
        **translation.fields(raw),
        architectures=[TEXT_ARCHITECTURE],
        dtype=raw.get("dtype") or raw.get("torch_dtype"),
        translation=translation.name,
        text_architecture=language_model.architecture,
    )
    return config


def local_folder(model: str, revision: str | None) -> Path:
    """The folder of a checkpoint; of one on a hub, the copy of its small files."""
    return Path(get_non_weight_snapshot_path(model, revision=revision))


def find_meta_folders() -> None:
    """Let vLLM's search for a config file find Meta's folders; harmless when called again.

    vLLM looks for config.json before it asks a parser, and Meta's folders have none. Only the
    question for that file in such a folder is answered differently.
    """
    previous = vllm_config.file_or_path_exists
    if getattr(previous, "finds_meta", False):
        return

    def exists(model: str | Path, config_name: str, revision: str | None = None) -> bool:
        if config_name == "config.json" and Path(model).is_dir():
            return bool(
                previous(model, config_name, revision) or read_meta_folder(Path(model)) is not None
            )
        return bool(previous(model, config_name, revision))

    exists.finds_meta = True  # type: ignore[attr-defined]
    vllm_config.file_or_path_exists = exists
