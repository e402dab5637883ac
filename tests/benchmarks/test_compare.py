"""Two servers in turns: order, ratios, table; with fake servers in place of real ones."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensorium.benchmarks.compare.rounds import Cell, Schedule, run_rounds, steps
from sensorium.benchmarks.compare.rows import ROWS, choose_rows
from sensorium.benchmarks.compare.scoreboard import make_result, markdown, put_into, ratios
from sensorium.benchmarks.compare.servers import Side, make_side, start
from sensorium.benchmarks.load.runner import Level, LevelRun
from sensorium.benchmarks.measure.level import LevelResult, ServerSide, measure_level
from sensorium.benchmarks.measure.record import RequestRecord
from sensorium.serving.errors import EngineStartError, UserError

NO_SERVER = ServerSide({}, {}, None, 0.5)


def fake(name: str, first_ms: int) -> Side:
    """A fake server as a side."""
    pace = ("--first-ms", str(first_ms), "--gap-ms", "1", "--tokens", "4")
    module = "sensorium.benchmarks.fake_server"
    return Side(name, (sys.executable, "-P", "-m", module, "--port", "{port}", *pace))


def result(seconds: float) -> LevelResult:
    """A level of one request after another, each taking so long."""
    records = [
        RequestRecord(i, i * seconds, events=[(i + 0.5) * seconds, (i + 1) * seconds], sent=0.0)
        for i in range(10)
    ]
    for record in records:
        record.ended, record.output_tokens = record.events[-1], 2
    return measure_level(LevelRun(Level(concurrency=1), records), {}, NO_SERVER)


class TestOrder:
    schedule = Schedule((fake("a", 1), fake("b", 1)), ROWS[:2], (1, 4), rounds=2)

    def test_the_first_changes_with_each_round(self) -> None:
        order = [(s.row.name, s.concurrency, s.side.name) for s in steps(self.schedule)]
        assert order[:4] == [("text-short", 1, side) for side in ("a", "b", "b", "a")]
        assert len(order) == 2 * 2 * 2 * 2

    def test_one_at_a_time_changes_servers_as_seldom_as_can_be(self) -> None:
        order = [s.side.name for s in steps(replace(self.schedule, one_at_a_time=True))]
        assert order == ["a"] * 4 + ["b"] * 8 + ["a"] * 4


class TestRatios:
    def lines(self, rounds: list[tuple[float, float]]) -> Any:
        cells = [
            Cell("text-short", 1, number, side, result(seconds))
            for number, pair in enumerate(rounds)
            for side, seconds in zip("ab", pair, strict=True)
        ]
        (line,) = ratios(cells, ("a", "b"))
        return line

    def test_above_one_the_second_is_better_whatever_the_measure(self) -> None:
        line = self.lines([(1.0, 0.5), (1.0, 0.5)])
        for name in ("requests/s", "TTFT", "TPOT", "E2E"):
            assert line.ratios[name]["ratio"] == pytest.approx(2.0)
        assert (line.a_rate, line.b_rate) == (pytest.approx(1.0), pytest.approx(2.0))
        assert line.ratios["CPU"]["ratio"] is None

    def test_spread_over_the_rounds(self) -> None:
        found = self.lines([(1.0, 1.0), (1.0, 0.5), (1.0, 0.25)]).ratios["E2E"]
        assert found["ratio"] == pytest.approx(2.0)
        assert (found["lowest"], found["highest"]) == (pytest.approx(1.0), pytest.approx(4.0))
        half = 4.30 * math.log(2) / math.sqrt(3)
        assert found["ci95_high"] == pytest.approx(2.0 * math.exp(half))

    def test_one_round_has_no_interval(self) -> None:
        found = self.lines([(1.0, 0.5)]).ratios["E2E"]
        assert found["ci95_low"] is None


class TestServers:
    def test_stock_vllm_loads_no_plugin(self) -> None:
        side = make_side("vllm", "some/model", ["--dtype", "float32"])
        assert side.environment["VLLM_PLUGINS"] == ""
        assert "vllm.entrypoints.openai.api_server" in side.command
        assert side.command[-2:] == ("--dtype", "float32")

    def test_both_sides_have_the_same_arguments_and_threads(self) -> None:
        stock, ours = (make_side(kind, "demo", ["--x", "1"]) for kind in ("vllm", "sensorium"))
        assert stock.command[-2:] == ours.command[-2:]
        assert ours.environment.items() <= stock.environment.items()
        model = next(part for part in ours.command if part.startswith("bench="))
        assert model.removeprefix("bench=") in stock.command

    def test_a_server_that_does_not_start_says_why(self, tmp_path: Path) -> None:
        side = Side("broken", (sys.executable, "-c", "raise SystemExit('no model here')"))
        with pytest.raises(EngineStartError, match="no model here"):
            start(side, tmp_path)

    def test_unknown_rows_are_refused(self) -> None:
        with pytest.raises(UserError, match="there are text-short"):
            choose_rows(["nonsense"])
        assert [row.name for row in choose_rows(["audio"])] == ["audio"]
        assert choose_rows([]) == ROWS


async def test_a_whole_comparison(tmp_path: Path) -> None:
    rows = tuple(row for row in ROWS if row.name in ("text-short", "image-repeated"))
    schedule = Schedule((fake("vllm", 120), fake("sensorium", 20)), rows, (4,), 2, requests=1)
    told: list[Cell] = []
    cells, starts = await run_rounds(schedule, tmp_path, told.append)
    assert told == cells
    assert [name for name, _, _ in starts] == ["vllm", "sensorium"]
    answered = {(cell.row, cell.result["answered"]) for cell in cells}
    assert answered == {("text-short", 64), ("image-repeated", 32)}
    by_side = {side: [c for c in cells if c.side == side] for side in ("vllm", "sensorium")}
    for ours, theirs in zip(*by_side.values(), strict=True):
        assert ours.result["bytes_up"] == theirs.result["bytes_up"]
    document = make_result(schedule, "fake", cells, starts)
    assert sys.executable not in json.dumps(document, allow_nan=False)
    for line in document["lines"]:
        # A hundred of the milliseconds are the servers' own; a busy machine adds to both.
        assert line["ratios"]["TTFT"]["ratio"] > 1.3
    table = markdown(document)
    assert "| the same 1280x720 JPEG | 4 |" in table
    assert "Model `fake`" in table


class TestReadme:
    def test_the_table_takes_the_place_of_the_last_one(self, tmp_path: Path) -> None:
        page = tmp_path / "README.md"
        marks = "<!-- bench compare: begin -->\nold\n<!-- bench compare: end -->"
        page.write_text(f"before\n{marks}\nafter\n")
        put_into(page, "| new |\n")
        assert page.read_text() == f"before\n{marks.replace('old', '| new |')}\nafter\n"

    def test_a_page_without_a_place_is_refused(self, tmp_path: Path) -> None:
        page = tmp_path / "README.md"
        page.write_text("nothing")
        with pytest.raises(UserError, match="are not there"):
            put_into(page, "x")
