"""Two results beside each other: ratios of their means with intervals, level by level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sensorium.benchmarks.measure.statistics import Ratio, ratio_of_means
from sensorium.benchmarks.output.table import columns

__all__ = ["compare_documents", "differing_settings", "ratio_text"]

_LATENCIES = ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms")
_RATES = ("requests_per_second", "output_tokens_per_second")
Document = Mapping[str, Any]


def compare_documents(a: Document, b: Document) -> str:
    """What differs in their settings, then a table for each level that both have."""
    lines = [f"{name}: {x!r} against {y!r}" for name, x, y in differing_settings(a, b)]
    theirs = {level["name"]: level for level in b["levels"]}
    for level in a["levels"]:
        if level["name"] in theirs:
            lines += ["", f"== {level['name']} ==", _level_table(level, theirs[level["name"]])]
            for side, one in (("A", level), ("B", theirs[level["name"]])):
                lines += [f"! {side}: {warning['message']}" for warning in one["warnings"]]
    if not theirs.keys() & {level["name"] for level in a["levels"]}:
        lines.append("The two have no level of load in common.")
    return "\n".join(lines).strip()


def differing_settings(a: Document, b: Document) -> list[tuple[str, Any, Any]]:
    """Settings, versions and machine that are not the same, as (name, in A, in B)."""
    found = []
    for part in ("settings", "versions", "machine"):
        names = sorted({*a[part], *b[part]})
        pairs = [(name, a[part].get(name), b[part].get(name)) for name in names]
        found += [(f"{part}.{name}", x, y) for name, x, y in pairs if x != y]
    return found


def _level_table(a: Document, b: Document) -> str:
    rows: list[Sequence[str]] = [("", "A", "B", "B / A", "95 %")]
    for key in _LATENCIES:
        if a[key] and b[key]:
            means = (f"{a[key]['mean']:.1f}", f"{b[key]['mean']:.1f}")
            rows.append((key, *means, *ratio_text(ratio_of_means(a[key], b[key]))))
    for key in _RATES:
        if a[key]:
            rows.append((key, f"{a[key]:.2f}", f"{b[key]:.2f}", f"{b[key] / a[key]:.3f}", ""))
    rows.append(("failed", *(str(one["requests"] - one["answered"]) for one in (a, b)), "", ""))
    return columns(rows)


def ratio_text(ratio: Ratio) -> tuple[str, str]:
    """The ratio and its interval; `~` marks one that includes 1, which is no difference."""
    interval = ratio["ci95"]
    if interval is None:
        return f"{ratio['ratio']:.3f}", "-"
    same = " ~" if interval[0] <= 1 <= interval[1] else ""
    return f"{ratio['ratio']:.3f}", f"{interval[0]:.3f}..{interval[1]:.3f}{same}"
