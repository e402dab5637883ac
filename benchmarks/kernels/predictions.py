"""What the kernels were expected to save, beside what a run measured, and what follows from it.

Expected times are arithmetic for an H200 at 790 TFLOP/s and 4.3 TB/s in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sensorium.benchmarks.kernels.comparison import Plan, Row
from sensorium.kernels.cases import Case, Sizes

__all__ = ["PREDICTIONS", "Prediction", "fill_page", "further_sizes", "prediction_table"]

# What is this much faster is faster; less is noise.
_WORTH = 0.97
_BANDWIDTH = 0.75
_HEAD = ("what", "torch, us", "ours, us", "keep if", "measured: torch, us", "ours, us", "so")
_BEATS_ALL = "3 % faster than all others"
_RIVALS = ("eager", "compiled", "reference", "triton")


@dataclass(frozen=True)
class Prediction:
    """Microseconds of a case as vLLM runs it in torch and as we do, and the rule to keep ours by.

    `sizes` are those in which it differs from the case's own; `variant` is how the rows that it is
    about begin.
    """

    what: str
    case: str
    kind: str
    torch: int
    ours: int
    rule: str = "faster"
    variant: str = "triton"
    sizes: Mapping[str, int] = field(default_factory=dict)

    def at(self, plan: Plan, case: Case) -> Sizes:
        """The sizes it is about; in a dry run those of the tests."""
        return case.tiny if plan.tiny else {**case.real, **self.sizes}


def _llava(images: int, torch: int, ours: int, rule: str = "faster") -> Prediction:
    said = f"LLaVA-1.5-7B, {images} image{'s' * (images > 1)}"
    return Prediction(said, "llava-1.5-7b", "stage", torch, ours, rule, sizes={"images": images})


PREDICTIONS = (
    _llava(1, 65, 65, "not slower"),
    _llava(8, 325, 304),
    _llava(64, 2297, 2148),
    Prediction(
        "LLaVA-1.5-7B, 64 images, e4m3",
        "llava-1.5-7b",
        "stage",
        2297,
        1334,
        variant="fp8",
        sizes={"images": 64},
    ),
    Prediction(
        "LLaVA-1.6-7B, 1 image of 4:3", "llava-next-7b", "stage", 223, 170, sizes={"images": 1}
    ),
    Prediction("LLaVA-1.6-7B, 8 images", "llava-next-7b", "stage", 1599, 1110),
    Prediction("InternVL2-8B, 13 tiles", "internvl", "stage", 406, 377),
    Prediction(
        "InternVL2-8B, 64 tiles, norm and shuffle alone",
        "internvl",
        "gather_norm",
        190,
        62,
        "75 % of a copy's bandwidth",
        sizes={"images": 64},
    ),
    Prediction("Idefics3-8B, 8 tiles", "idefics3", "stage", 96, 90, sizes={"images": 8}),
    Prediction("SmolVLM-256M, 8 tiles", "smolvlm", "stage", 58, 53, sizes={"images": 8}),
    Prediction("Qwen2-VL-7B, 8 images", "qwen2-vl", "stage", 1342, 1383, sizes={"patches": 41472}),
    Prediction("Qwen2-Audio, 8 clips of 10 s", "qwen2-audio", "stage", 122, 35),
    Prediction("Gemma-3-4B, 8 images", "gemma-3", "stage", 113, 44),
    Prediction("MobileVLM V2, 8 images", "mobilevlm-v2", "stage", 119, 109),
    Prediction("merge of 640 tokens, one image", "one-image", "embed_merge", 15, 3),
    Prediction("merge of 8192 tokens, 8 images", "full-batch", "embed_merge", 131, 33),
    Prediction(
        "gelu_fit in the first product, 64 images",
        "llava-1.5-7b",
        "stage",
        2148,
        2140,
        _BEATS_ALL,
        "gelu_fit",
        {"images": 64},
    ),
)


def further_sizes(case: Case, plan: Plan) -> list[tuple[Sizes, Plan]]:
    """At which sizes beside its own a case is predicted, and the plan for each.

    Only where a rule names it is torch.compile tried there: it takes a minute a time.
    """
    found: dict[tuple[int, ...], tuple[Sizes, Plan]] = {}
    for one in PREDICTIONS:
        sizes = one.at(plan, case)
        if (one.case, one.kind) == (case.name, case.op) and sizes != plan.sizes(case):
            key = tuple(sizes.values())
            compiled = one.rule == _BEATS_ALL or (key in found and found[key][1].compiled)
            found[key] = sizes, replace(plan, compiled=plan.compiled and compiled)
    return list(found.values())


def prediction_table(rows: Sequence[Row], cases: Sequence[Case], plan: Plan) -> str:
    """Markdown; the last three columns are empty where a run has nothing to say."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    by_name = {(case.name, case.op): case for case in cases}
    for one in PREDICTIONS:
        case = by_name.get((one.case, one.kind))
        here = _rows_of(one, case, plan, rows) if case is not None else []
        cells = [one.what, f"{one.torch}", f"{one.ours}", one.rule, *_measured(one, here)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _rows_of(one: Prediction, case: Case, plan: Plan, rows: Sequence[Row]) -> list[Row]:
    key = (one.case, one.kind, dict(one.at(plan, case)))
    return [
        row
        for row in rows
        if (row.case, row.kind, dict(row.sizes)) == key and row.microseconds is not None
    ]


def _measured(one: Prediction, rows: Sequence[Row]) -> Iterator[str]:
    """Torch's time, ours, and whether ours stays."""
    ours = [row for row in rows if row.variant.startswith(one.variant)]
    times = {row.variant: row.microseconds or 0.0 for row in rows}
    if not ours or "eager" not in times:
        yield from ("", "", "")
        return
    best = min(ours, key=lambda row: row.microseconds or 0.0)
    yield f"{times['eager']:.1f}"
    yield f"{times[best.variant]:.1f}"
    yield "keep" if _stays(one.rule, best, times) else "drop"


def _stays(rule: str, ours: Row, times: Mapping[str, float]) -> bool:
    time = times[ours.variant]
    if rule == "faster":
        return time < times["eager"] * _WORTH
    if rule == "not slower":
        return time <= times["eager"] / _WORTH
    if rule.startswith("75 %"):
        return ours.floor_microseconds >= _BANDWIDTH * time
    return time < _WORTH * min(times[name] for name in _RIVALS if name in times)


def fill_page(page: Path, table: str) -> None:
    """Put the table in the place of the one on a page; raises ValueError for a page without."""
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    starts = [n for n, line in enumerate(lines) if line.startswith(f"| {_HEAD[0]} | {_HEAD[1]} |")]
    if len(starts) != 1:
        raise ValueError(f"{page} has {len(starts)} tables of predictions; it must have one")
    end = starts[0]
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    page.write_text("".join([*lines[: starts[0]], table, *lines[end:]]), encoding="utf-8")
