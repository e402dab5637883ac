"""Checkpoints that hold only what training changed of another model.

Three kinds, as LLaVA's were published: a LoRA (peft's adapter beside `non_lora_trainables.bin`), a
delta (the difference to the base model's weights, the first LLaVA's licence asked for that), and an
overlay (some tensors, the projector for one, that replace the base model's or join them).

Facts: haotian-liu/LLaVA, llava/model/builder.py (LoRA, projector alone) and
llava/model/apply_delta.py.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.folders import BASE_MODEL, named_folders, read_json
from sensorium.model_adapters.registry import Match
from sensorium.model_adapters.tensor_files import scan

__all__ = [
    "TOKENIZERS",
    "BaseModel",
    "Kind",
    "find_base",
    "lora_target",
    "own_name",
    "tokenizer_folder",
]

Kind = Literal["lora", "delta", "overlay"]
# A key of config.json by which a checkpoint says where its base model lies.
_KEY = "sensorium_base_model"
_LORA = re.compile(r"^(.*)\.lora_([AB])(?:\.default)?\.weight$")
_DELTA = re.compile(r"(^|[-_.])delta([-_.]|$)", re.IGNORECASE)
_LAYER = re.compile(r"^(?!.*vision).*\.(layers|h|blocks)\.\d+\.")
TOKENIZERS = ("tokenizer.model", "tokenizer.json", "vocab.json")


@dataclass(frozen=True)
class BaseModel:
    """The model below a checkpoint: what the checkpoint is to it, and its folder.

    A LoRA's product of matrices is scaled by `scale` before it is added.
    """

    kind: Kind
    folder: str
    scale: float = 1.0


def find_base(match: Match, checkpoint: Path | None) -> BaseModel | None:
    """The base model that a checkpoint needs, None for one that is whole.

    It is looked for where `--base-model` says, where the config's `sensorium_base_model` says, in
    the checkpoint, at its own path, and beside the checkpoint. Raises CheckpointError where it is
    needed and in none of these, or where the adapter is of a form that is not merged here.
    """
    if checkpoint is None or match.spec.folders:
        return None
    raw = match.config
    asked = named_folders(BASE_MODEL, [str(checkpoint)], bare=False)
    kind = _kind(checkpoint, asked=bool(asked or raw.get(_KEY)))
    if kind is None:
        return None
    adapter = read_json(checkpoint / "adapter_config.json") if kind == "lora" else {}
    name = str(adapter.get("base_model_name_or_path") or raw.get("_name_or_path") or "")
    candidates = [*asked, *named_folders(BASE_MODEL, [name])]
    for path in filter(None, (str(raw.get(_KEY) or ""), name)):
        beside = checkpoint.resolve().parent / Path(path).name
        candidates += [checkpoint / path.lstrip("/"), Path(path), beside]
    for folder in candidates:
        if (folder / "config.json").is_file() and folder.resolve() != checkpoint.resolve():
            return BaseModel(kind, str(folder), _scale(adapter, checkpoint))
    raise CheckpointError(
        f"{checkpoint} is {_WHAT[kind]}, and its base model {name or '(the config names none)'!r} "
        "is not in or beside it; fetch that model and name its folder with --base-model"
    )


_WHAT = {
    "lora": "a LoRA",
    "delta": "a delta to another model's weights",
    "overlay": "a part of a model (it holds no layer of a language model)",
}


def lora_target(name: str) -> tuple[str, str] | None:
    """The tensor that a LoRA's matrix changes and "A" or "B"; None for other tensors."""
    found = _LORA.match(name)
    return None if found is None else (own_name(f"{found[1]}.weight"), found[2])


def own_name(name: str) -> str:
    """A tensor's name without what peft puts before it."""
    plain = name.removeprefix("base_model.")
    if plain.startswith(("model.model.", "model.lm_head.")):
        return plain.removeprefix("model.")
    return plain


def tokenizer_folder(match: Match, checkpoint: Path) -> Path:
    """The folder with the tokenizer: the checkpoint, or its base model where it has none."""
    if not checkpoint.is_dir() or any((checkpoint / name).is_file() for name in TOKENIZERS):
        return checkpoint
    base = find_base(match, checkpoint)
    return checkpoint if base is None else Path(base.folder)


def _kind(checkpoint: Path, *, asked: bool) -> Kind | None:
    files = scan(checkpoint)
    if any(_LORA.match(name) for name in files.tensors):
        return "lora"
    if files.tensors and files.complete and not any(map(_LAYER.match, files.tensors)):
        return "overlay"
    return "delta" if asked or _DELTA.search(checkpoint.resolve().name) else None


def _scale(adapter: dict[str, Any], checkpoint: Path) -> float:
    if not adapter:
        return 1.0
    file = checkpoint / "adapter_config.json"
    for key in ("use_dora", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "megatron_config"):
        if adapter.get(key):
            raise CheckpointError(f"{file}: `{key}: {adapter[key]!r}` is not merged here")
    if adapter.get("peft_type", "LORA") != "LORA":
        raise CheckpointError(f"{file}: `peft_type` is {adapter['peft_type']!r}; merged is 'LORA'")
    try:
        rank, alpha = int(adapter["r"]), float(adapter["lora_alpha"])
        return alpha / (math.sqrt(rank) if adapter.get("use_rslora") else rank)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise CheckpointError(f"{file}: `r` and `lora_alpha` must be positive numbers") from None
