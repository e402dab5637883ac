"""Plots as inline SVG: lines, points, steps and stacked bars on linear or logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["COLOURS", "Series", "bars", "plot"]

# Okabe and Ito's colours, told apart by colour-blind readers.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#f0e442")
_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 12, 44
Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Points of one colour, joined by a line, left as dots, or both; `labels` name the points."""

    name: str
    points: Sequence[Point]
    line: bool = True
    dots: bool = False
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    start: float
    end: float
    log: bool

    def place(self, value: float) -> float:
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            share = (math.log10(max(value, self.low)) - low) / (high - low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            marks = [m * 10.0**power for power in powers for m in (1, 2, 5)]
        else:
            step = _round_step((self.high - self.low) / 6)
            first = math.ceil(self.low / step)
            marks = [step * number for number in range(first, math.floor(self.high / step) + 1)]
        return [mark for mark in marks if self.low <= mark <= self.high]


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _axis(values: Sequence[float], start: float, end: float, log: bool) -> _Axis:
    if log:
        positive = [value for value in values if value > 0]
        low, high = min(positive, default=1.0), max(positive, default=10.0)
        return _Axis(low, high if high > low else low * 10, start, end, True)
    high = max(values, default=1.0)
    return _Axis(0.0, high * 1.05 if high > 0 else 1.0, start, end, False)


def plot(
    series: Sequence[Series],
    x_title: str,
    y_title: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
) -> str:
    """An SVG element. Without a point to show, a paragraph that says so."""
    points = [point for one in series for point in one.points]
    if not points:
        return "<p>Nothing was measured for this plot.</p>"
    x = _axis([p[0] for p in points], _LEFT, _WIDTH - _RIGHT, log_x)
    y = _axis([p[1] for p in points], _HEIGHT - _BOTTOM, _TOP, log_y)
    parts = [_frame(x, y, x_title, y_title)]
    parts += [_draw(one, COLOURS[i % len(COLOURS)], x, y) for i, one in enumerate(series)]
    return _svg("".join(parts), _HEIGHT) + legend([one.name for one in series])


def _draw(series: Series, colour: str, x: _Axis, y: _Axis) -> str:
    places = [(x.place(a), y.place(b)) for a, b in series.points]
    parts = []
    if series.line:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    if series.dots:
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in places]
    middle = (x.start + x.end) / 2
    for (a, b), label in zip(places, series.labels, strict=False):
        anchor, shift = ("end", -6) if a > middle else ("start", 6)
        parts.append(
            f'<text x="{a + shift:.1f}" y="{b - 6:.1f}" font-size="10" text-anchor="{anchor}">'
            f"{escape(label)}</text>"
        )
    return "".join(parts)


def _frame(x: _Axis, y: _Axis, x_title: str, y_title: str) -> str:
    parts = []
    for tick in x.ticks():
        at = x.place(tick)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{y.start}" stroke="#ddd"/>'
            f'<text x="{at:.1f}" y="{y.start + 16}" text-anchor="middle">{tick:g}</text>'
        )
    for tick in y.ticks():
        at = y.place(tick)
        parts.append(
            f'<line x1="{_LEFT}" x2="{x.end}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    middle = (y.start + y.end) / 2
    parts.append(
        f'<text x="{(x.start + x.end) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x_title)}</text>"
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">'
        f"{escape(y_title)}</text>"
    )
    return "".join(parts)


def bars(rows: Sequence[tuple[str, Sequence[float]]], names: Sequence[str], unit: str) -> str:
    """Stacked horizontal bars: a row is a label and one length for each of `names`."""
    longest = max((sum(lengths) for _, lengths in rows), default=0.0)
    if longest <= 0:
        return "<p>Nothing was measured for this plot.</p>"
    left, thick = 170, 26
    x = _Axis(0.0, longest, left, _WIDTH - 80, False)
    parts = []
    for number, (label, lengths) in enumerate(rows):
        top, at = 6 + number * (thick + 8), 0.0
        parts.append(
            f'<text x="{left - 8}" y="{top + 17}" text-anchor="end">{escape(label)}</text>'
        )
        for place, length in enumerate(lengths):
            start, end = x.place(at), x.place(at + length)
            parts.append(
                f'<rect x="{start:.1f}" y="{top}" width="{end - start:.1f}" height="{thick}" '
                f'fill="{COLOURS[place % len(COLOURS)]}">'
                f"<title>{escape(names[place])}: {length:.1f} {unit}</title></rect>"
            )
            at += length
        parts.append(f'<text x="{x.place(at) + 6:.1f}" y="{top + 17}">{at:.1f} {unit}</text>')
    return _svg("".join(parts), 12 + len(rows) * (thick + 8)) + legend(names)


def legend(names: Sequence[str]) -> str:
    """The colours with their names."""
    marks = [
        f'<span><i style="background:{COLOURS[i % len(COLOURS)]}"></i>{escape(name)}</span>'
        for i, name in enumerate(names)
    ]
    return f'<p class="legend">{"".join(marks)}</p>'


def _svg(inside: str, height: int) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" font-size="12">{inside}</svg>'
