"""A run as one HTML file that opens without a network: tables, plots, every setting."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from sensorium.benchmarks.output.plots import Series, bars, plot
from sensorium.benchmarks.output.table import level_text, sweep_text
from sensorium.serving.errors import UserError

__all__ = ["page_text", "write_page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
svg { width: 100%; max-width: 46rem; display: block } svg text { fill: #333 }
pre { overflow-x: auto; background: #f6f6f6; padding: .8rem } h2 { margin-top: 2.2rem }
table { border-collapse: collapse } td { padding: .1rem .8rem .1rem 0; vertical-align: top }
.legend span { margin-right: 1.2rem }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .4em }
.warning { color: #a33 }
"""
# A curve of more points than the plot has pixels only makes the file larger.
_MOST_POINTS = 400
_SLICES = 60
_PARTS = (
    *("download", "media queue", "media decode", "prepare"),
    *("queue", "encode", "prefill", "decode"),
)
Document = dict[str, Any]


def write_page(path: Path, document: Document) -> None:
    """Write the page; UserError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page_text(document), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def page_text(document: Document) -> str:
    """The page of a document. Plots of single requests need `requests` in it."""
    levels = document["levels"]
    requests = document.get("requests") or []
    model = document["settings"].get("model", "")
    sections = [
        ("Summary", _summary(levels)),
        ("Latency", _latency_curves(levels, requests)),
        ("Throughput against latency", _sweep_plot(levels)),
        ("Over time", _timeline(levels, requests)),
        ("Where the time goes", _stage_plot(levels)),
        ("By size of the media", _size_plot(levels)),
        ("Each level", "".join(f"<pre>{escape(level_text(level))}</pre>" for level in levels)),
        ("Settings", _settings(document)),
    ]
    body = "".join(f"<h2>{title}</h2>{content}" for title, content in sections if content)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>sensorium bench: {escape(model)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(model)}</h1><p>{escape(document['created'])}</p>{body}</html>\n"
    )


def _summary(levels: Sequence[Document]) -> str:
    warnings = "".join(
        f'<p class="warning">{escape(level["name"])}: {escape(warning["message"])}</p>'
        for level in levels
        for warning in level["warnings"]
    )
    return f"<pre>{escape(sweep_text(levels))}</pre>{warnings}"  # type: ignore[arg-type]


def _latency_curves(levels: Sequence[Document], requests: Sequence[Sequence[Document]]) -> str:
    """Share of requests answered within a time, a curve a level."""
    drawn = []
    for title, read in (("time to first token", _ttft), ("end to end", _e2e)):
        series = []
        for level, rows in zip(levels, requests, strict=False):
            values = sorted(v for row in rows if (v := read(row)) is not None)
            points = [(v, 100 * (i + 1) / len(values)) for i, v in enumerate(values)]
            series.append(Series(level["name"], points[:: len(points) // _MOST_POINTS + 1]))
        drawn.append(plot(series, f"{title}, ms", "% of requests", log_x=True))
    return "".join(drawn) if requests else ""


def _ttft(row: Document) -> float | None:
    ok = row["error"] is None and row["events"]
    return 1e3 * (row["events"][0] - row["intended"]) if ok else None


def _e2e(row: Document) -> float | None:
    end = row["events"][-1] if row["events"] else row["ended"]
    return None if row["error"] else 1e3 * (end - row["intended"])


def _sweep_plot(levels: Sequence[Document]) -> str:
    if len(levels) < 2:
        return ""
    series = []
    for name, key in (("end to end", "e2e_ms"), ("time to first token", "ttft_ms")):
        for quantile in ("p50", "p99"):
            known = [level for level in levels if level[key]]
            points = [(level["requests_per_second"], level[key][quantile]) for level in known]
            labels = [level["name"] for level in known] if quantile == "p50" else []
            series.append(Series(f"{name}, {quantile}", points, dots=True, labels=labels))
    return plot(series, "answers a second", "ms", log_y=True)


def _timeline(levels: Sequence[Document], requests: Sequence[Sequence[Document]]) -> str:
    """Latency of each request at the time it was due, then how many were under way."""
    drawn = []
    for level, rows in zip(levels, requests, strict=False):
        good = [row for row in rows if row["error"] is None]
        good = good[:: len(good) // (2 * _MOST_POINTS) + 1]
        dots = [
            Series(name, points, line=False, dots=True)
            for name, read in (("end to end", _e2e), ("time to first token", _ttft))
            if (points := [(r["intended"], v) for r in good if (v := read(r)) is not None])
        ]
        drawn.append(f"<h3>{escape(level['name'])}</h3>{plot(dots, 'due at, s', 'ms')}")
        drawn.append(plot([Series("under way", _under_way(rows))], "s", "requests"))
    return "".join(drawn)


def _under_way(rows: Sequence[Document]) -> list[tuple[float, float]]:
    end = max((row["ended"] for row in rows), default=0.0)
    times = [end * i / _SLICES for i in range(_SLICES + 1)]
    return [(t, sum(row["intended"] <= t < row["ended"] for row in rows)) for t in times]


def _stage_plot(levels: Sequence[Document]) -> str:
    names = [name for name in _PARTS if any(name in level["stages"] for level in levels)]
    if not names:
        return ""
    rows = [
        (level["name"], [level["stages"].get(name, {}).get("mean_ms", 0.0) for name in names])
        for level in levels
    ]
    note = "<p>Means by the server's own metrics; stages it does not report are missing.</p>"
    return bars(rows, names, "ms") + note


def _size_plot(levels: Sequence[Document]) -> str:
    """Time to first token against the size of the media, with what a unit of size costs."""
    units = {"image": "megapixels", "audio": "seconds of sound", "video": "frames"}
    drawn = []
    for kind, unit in units.items():
        series, costs = [], []
        for level in levels:
            sizes = [s for s in level["by_size"] if s["kind"] == kind and s["ttft_ms"]]
            points = [(size["amount"], size["ttft_ms"]["p50"]) for size in sizes]
            if len(points) > 1:
                series.append(Series(level["name"], points, dots=True))
                costs += [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(points) if b[0] > a[0]]
        if series:
            drawn.append(plot(series, f"{unit} a request", "TTFT p50, ms"))
            mean = sum(costs) / max(1, len(costs))
            drawn.append(f"<p>About {mean:.1f} ms for each of the {unit}.</p>")
    return "".join(drawn)


def _settings(document: Document) -> str:
    tables = []
    for part in ("settings", "machine", "versions", "server"):
        rows = "".join(
            f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>"
            for name, value in document[part].items()
        )
        tables.append(f"<h3>{part}</h3><table>{rows}</table>")
    return "".join(tables)
