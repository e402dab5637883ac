"""The families as a table: for the command line, and for docs/families.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensorium.model_adapters.language_models.text_model import TextModel
from sensorium.model_adapters.language_models.text_models import TEXT_MODELS
from sensorium.model_adapters.registry import families
from sensorium.model_adapters.spec import FamilySpec

__all__ = ["families_markdown", "family_rows"]

_HEAD = """# Model families

Checkpoints that Sensorium reads in the layout their authors published, without conversion. Every
family here has a test that serves a tiny checkpoint of that layout through vLLM and compares tokens
and log-probabilities with an independent reference written from the authors' code; no family is
listed without. The tests use random weights: they prove the computation, not the quality of the
answers, and the published checkpoints themselves were not run.

Any other checkpoint laid out as LLaVA is (a flat config with `mm_vision_tower`) loads as family
`llava` when its projector and language model are known. `sensorium inspect PATH` says how a
checkpoint is read. Architectures that vLLM knows itself are served by vLLM and are not listed.

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
                "towers": list(spec.tower.kinds),
                "projectors": list(spec.projectors),
                "modalities": list(spec.modalities),
                "prompts": sorted({style.name for style in spec.styles()}),
                "class": _class(spec),
                "limits": spec.limits,
                "unconfirmed": spec.unconfirmed,
                "proof": spec.proof,
            }
        )
    return rows + [_text_row(model) for model in TEXT_MODELS]


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
        if row["class"] == "text":
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
    return "".join(parts)
