"""The families as a table: for the command line, and for docs/families.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensorium.model_adapters.audio_model import AudioModel
from sensorium.model_adapters.audio_models import AUDIO_MODELS
from sensorium.model_adapters.language_models.text_model import TextModel
from sensorium.model_adapters.language_models.text_models import TEXT_MODELS
from sensorium.model_adapters.registry import families
from sensorium.model_adapters.spec import FamilySpec

__all__ = ["families_markdown", "family_rows"]

_HEAD = """# Model families

Checkpoints that Sensorium reads in the layout their authors published, without conversion. Every
family here has a test that serves a tiny checkpoint of that layout through vLLM and compares tokens
and log-probabilities with an independent reference written from the authors' code, with the
language model's layers run as they are written and with them compiled; no family is listed without.
The tests use random weights: they prove the computation, not the quality of the answers, and the
published checkpoints themselves were not run.

Any other checkpoint laid out as LLaVA is (a flat config with `mm_vision_tower`) loads as family
`llava` when its projector and language model are known. `sensorium inspect PATH` says how a
checkpoint is read. Architectures that vLLM knows itself are served by vLLM and are not listed,
but for the audio models at the end, for which Sensorium has an entry of its own. Checkpoints that
their authors publish in Hugging Face's layout, such as FireLLaVA's, are vLLM's too.

A family marked as unconfirmed was written without having seen all of its facts. It is served only
where `--family` names it, never because a config looks like it.

This page is written by `sensorium families --markdown`.
"""
_TEXT_HEAD = """
## Language models alone

Language models that are Llama or Qwen2 under names of their own, and that vLLM no longer loads.
They are served as text models in their authors' layout, without remote code, and the same
translations let a checkpoint laid out as LLaVA is stand on one of them
(`tests/families/test_legacy_composed.py`).
"""
_AUDIO_HEAD = """
## Audio models that chat

Served by vLLM's own classes, with Sensorium's entry: what a model hears, how long a sound may be
and what becomes of a longer one. A sound is brought to the model's rate and mixed to one channel by
the media path; one that the model would not hear to its end is refused with status 400, by its
length and the limit, on every route. `input_audio` and `audio_url` parts are taken. Sampling comes
from the checkpoint's `generation_config.json`, then from the entry.
"""


def family_rows() -> list[dict[str, Any]]:
    """One JSON-able entry a family, in the order of the registry."""
    rows = []
    for entry in families():
        spec = entry.load()
        rows.append(
            {
                "family": spec.name,
                "title": spec.title,
                "checkpoints": list(spec.checkpoints),
                "architectures": list(spec.language_models),
                "language_models": sorted({m.config_type for m in spec.language_models.values()}),
                "towers": _towers(spec),
                "projectors": list(spec.projectors),
                "modalities": list(spec.modalities),
                "prompts": sorted({style.name for style in spec.styles()}),
                "class": _class(spec),
                "limits": spec.limits,
                "unconfirmed": spec.unconfirmed,
                "proof": spec.proof,
            }
        )
    rows += [_text_row(model) for model in TEXT_MODELS]
    return rows + [_audio_row(model) for model in AUDIO_MODELS]


def _text_row(model: TextModel) -> dict[str, Any]:
    return {
        "family": model.name,
        "title": model.title,
        "checkpoints": list(model.checkpoints),
        "architectures": list(model.architectures),
        "language_models": [model.language_model.config_type],
        "towers": [],
        "projectors": [],
        "modalities": ["text"],
        "prompts": [],
        "class": "text",
        "limits": model.limits,
        "unconfirmed": "",
        "proof": model.proof,
    }


def _audio_row(model: AudioModel) -> dict[str, Any]:
    return {
        "family": model.name,
        "title": model.title,
        "checkpoints": list(model.checkpoints),
        "architectures": list(model.architectures),
        "language_models": [],
        "towers": [],
        "projectors": [],
        "modalities": list(model.modalities),
        "prompts": [],
        "class": "native",
        "limits": model.limits,
        "unconfirmed": "",
        "proof": model.proof,
        "audio": {
            "rate": model.rate,
            "seconds": model.seconds,
            "window": model.window,
            "sounds": model.sounds,
            "tokens_per_second": model.tokens_per_second,
            "placeholder": model.placeholder,
            "generation": dict(model.generation),
            "needs": model.needs,
        },
    }


def _towers(spec: FamilySpec) -> list[str]:
    """The kinds of towers; one that only some modality is seen by says which."""
    own = [f"{kind} ({modality})" for modality, t in spec.towers.items() for kind in t.kinds]
    return [*spec.tower.kinds, *own]


def _class(spec: FamilySpec) -> str:
    """Which composed model serves the family."""
    return "masked" if any(m.masked for m in spec.language_models.values()) else "merge"


def _unconfirmed(row: Mapping[str, Any]) -> str:
    if not row["unconfirmed"]:
        return ""
    return f"- **Unconfirmed**, served with `--family {row['family']}` only: {row['unconfirmed']}\n"


def families_markdown() -> str:
    """The text of docs/families.md."""
    parts = [_HEAD]
    rows = family_rows()
    for row in rows:
        if row["class"] in ("text", "native"):
            continue
        parts.append(
            f"\n## {row['title']}\n\n"
            f"- Family: `{row['family']}`\n"
            f"- Checkpoints: {', '.join(f'`{name}`' for name in row['checkpoints'])}\n"
            f"- Takes: {', '.join(row['modalities'])}\n"
            f"- Parts: {' or '.join(row['towers'])} tower, {' or '.join(row['projectors'])} "
            f"projector, {' or '.join(row['language_models'])} language model\n"
            f"- Conversation: {' or '.join(f'`{name}`' for name in row['prompts'])}\n"
            f"- Limits: {row['limits']}\n"
            f"{_unconfirmed(row)}"
            f"- Proof: `{row['proof']}`\n"
        )
    parts.append(_TEXT_HEAD)
    for row in rows:
        if row["class"] != "text":
            continue
        parts.append(
            f"\n### {row['title']}\n\n"
            f"- Family: `{row['family']}`, computed as {row['language_models'][0]}\n"
            f"- Checkpoints: {', '.join(f'`{name}`' for name in row['checkpoints'])}\n"
            f"- Limits: {row['limits']}\n"
            f"- Proof: `{row['proof']}`\n"
        )
    return "".join([*parts, _AUDIO_HEAD, *map(_audio_part, AUDIO_MODELS)])


def _audio_part(model: AudioModel) -> str:
    sampling = ", ".join(f"{name} {value:g}" for name, value in model.generation.items())
    lines = [
        ("Family", f"`{model.name}`, served by vLLM's own class, with our entry"),
        ("Checkpoints", ", ".join(f"`{name}`" for name in model.checkpoints)),
        ("Takes", ", ".join(model.modalities)),
        ("Hears", f"{model.rate} Hz, one channel; {model.tokens_per_second:g} tokens a second"),
        ("Length", model.beyond),
        ("Sounds in a prompt", "" if model.sounds is None else f"at most {model.sounds}"),
        ("In the prompt", f"`{model.placeholder}`"),
        ("Sampling that the authors advise", sampling),
        ("Limits", model.limits),
        ("Needs", model.needs),
        ("Proof", f"`{model.proof}`" if model.proof else "none runs here"),
        ("Sources", "; ".join(model.sources)),
    ]
    told = "".join(f"- {name}: {text}\n" for name, text in lines if text)
    return f"\n### {model.title}\n\n{told}"
