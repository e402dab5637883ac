"""Language models that are Llama or Qwen2 under other names: what their tensors are called.

A translation is data. `engine.translator` applies it tensor by tensor while a checkpoint is read;
`sensorium inspect` and error messages use the names alone. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sensorium.model_adapters.errors import CheckpointError

__all__ = ["TextFields", "Translation", "llama_fields", "refuse_other_values"]

# From a checkpoint's config to the fields of the transformers config that describes the same model.
TextFields = Callable[[Mapping[str, Any]], dict[str, Any]]
_TARGET_LAYERS = "model.layers."
_COMPUTED = re.compile(r"(rotary_emb\.inv_freq|attention\.bias|\.masked_bias|^rope\.freqs)$")


@dataclass(frozen=True)
class Translation:
    """From a checkpoint's tensor names to those of transformers' Llama or Qwen2.

    `outer` maps names outside the layers (without `.weight` and `.bias`), `layers` is what stands
    before a layer's number, and `parts` maps the parts of a layer to their targets. A part with
    several targets holds them one under another and is cut by rows. What no entry names keeps its
    name. `interleaved` are targets whose rows hold each head's rotary pairs side by side, where
    transformers keeps the two halves apart. `unit_rows` are targets whose rows the authors scale to
    length one before use. `shard_axes` says along which axis model-parallel files split a target
    (None: each file holds the whole). Targets are named as by `part_of`.
    """

    name: str
    fields: TextFields
    outer: Mapping[str, str] = field(default_factory=dict)
    layers: str = _TARGET_LAYERS
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    interleaved: tuple[str, ...] = ()
    unit_rows: tuple[str, ...] = ()
    shard_axes: Mapping[str, int | None] = field(default_factory=dict)

    def targets(self, name: str) -> tuple[str, ...]:
        """Where a tensor goes: names in order of its rows; none for a table computed anew."""
        if _COMPUTED.search(name):
            return ()
        stem, _, kind = name.rpartition(".")
        if stem in self.outer:
            return (f"{self.outer[stem]}.{kind}",)
        if not name.startswith(self.layers):
            return (name,)
        number, _, part = stem.removeprefix(self.layers).partition(".")
        targets = self.parts.get(part, (part,))
        return tuple(f"{_TARGET_LAYERS}{number}.{target}.{kind}" for target in targets)

    def part_of(self, target: str) -> str:
        """A target without its layer and kind: `self_attn.q_proj`, `embed_tokens`, `lm_head`."""
        stem = target.rpartition(".")[0]
        if stem.startswith(_TARGET_LAYERS):
            return stem.removeprefix(_TARGET_LAYERS).partition(".")[2]
        return stem.removeprefix("model.")

    def original(self, target: str) -> str:
        """The checkpoint's own name of the tensor that holds `target`."""
        stem, _, kind = target.rpartition(".")
        for ours, theirs in self.outer.items():
            if theirs == stem:
                return f"{ours}.{kind}"
        if not target.startswith(_TARGET_LAYERS):
            return target
        number, _, part = stem.removeprefix(_TARGET_LAYERS).partition(".")
        for ours, targets in self.parts.items():
            if part in targets:
                part = ours
                break
        return f"{self.layers}{number}.{part}.{kind}"


def refuse_other_values(
    raw: Mapping[str, Any], served: Mapping[str, tuple[object, ...]], what: str
) -> None:
    """Raise CheckpointError for a config key with a value that is not served; absent is fine."""
    for key, values in {**served, "quantization_config": ()}.items():
        value = raw.get(key)
        if value is not None and value not in values:
            allowed = " or ".join(repr(value) for value in values) or "no such key"
            raise CheckpointError(
                f"the config's `{key}` is {value!r}; {what} is served with {allowed}"
            )


def llama_fields(raw: Mapping[str, Any], what: str, **changes: Any) -> dict[str, Any]:
    """The fields of a Llama's config where the checkpoint's keys are Llama's; `changes` win."""
    refuse_other_values(raw, {"hidden_act": ("silu",)}, what)
    return {
        "vocab_size": raw["vocab_size"],
        "hidden_size": raw["hidden_size"],
        "intermediate_size": raw["intermediate_size"],
        "num_hidden_layers": raw["num_hidden_layers"],
        "num_attention_heads": raw["num_attention_heads"],
        "num_key_value_heads": raw.get("num_key_value_heads") or raw["num_attention_heads"],
        "rms_norm_eps": raw.get("rms_norm_eps", 1e-6),
        "rope_theta": float(raw.get("rope_theta", 10000)),
        "max_position_embeddings": raw.get("max_position_embeddings", 2048),
        "bos_token_id": raw.get("bos_token_id"),
        "eos_token_id": raw.get("eos_token_id"),
        "tie_word_embeddings": bool(raw.get("tie_word_embeddings", False)),
        **changes,
    }
