"""The kernel benchmark, run end to end at the tests' sizes on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorium.benchmarks.kernels import command, predictions, report
from sensorium.benchmarks.kernels.attention import ATTENTION
from sensorium.benchmarks.kernels.ceilings import Ceilings
from sensorium.benchmarks.kernels.comparison import Plan, Row, compare
from sensorium.benchmarks.kernels.counting import count
from sensorium.benchmarks.kernels.stages import STAGES
from sensorium.benchmarks.kernels.tune import candidates
from sensorium.kernels.all_cases import ALL_CASES
from sensorium.kernels.cases import Case, Maker, Work
from sensorium.kernels.selection import DEFAULTS

ROOT = Path(__file__).parents[2]
CEILINGS = Ceilings(1e9, 1e9)
PLAN = Plan("cpu", torch.bfloat16, tiny=True, compiled=False, repeats=2)


def run(*arguments: str) -> None:
    command.main(["--device", "cpu", "--tiny", "--no-compile", "--repeats", "2", *arguments])


def test_every_case_passes_and_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "kernels.json"
    run("--out", str(out))
    content = json.loads(out.read_text())
    rows = content["rows"]
    assert {row["case"] for row in rows} == {c.name for c in (*ALL_CASES, *STAGES, *ATTENTION)}
    assert all(row["passed"] and row["microseconds"] > 0 for row in rows)
    assert {row["variant"] for row in rows} == {"eager", "reference", "fp8", "sdpa-masked"}
    tables = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| LLaVA-1.6-7B, 8 images | 1599 | 1110 | faster |" in tables
    assert content["ceilings"]["bytes_per_second"] > 0
    assert content["environment"]["torch"] == torch.__version__
    shown = capsys.readouterr().out
    assert len([line for line in shown.splitlines() if " eager " in line]) == len(
        {(row["case"], row["kind"]) for row in rows}
    )
    assert "gelu_fit: not measured" in shown
    assert "xformers: not measured" in shown


class TestTheGate:
    @staticmethod
    def broken(kind: str) -> Case:
        case = ALL_CASES[0]

        def build(sizes: Any, make: Maker) -> Work:
            work = case.build(sizes, make)

            def wrong(x: torch.Tensor) -> torch.Tensor:
                result = work.ours(x)
                if kind == "fails":
                    raise RuntimeError("no such kernel")
                result[0, 0] = {"off": 40.0, "NaN": torch.nan}[kind]
                return result

            return replace(work, ours=wrong)

        return replace(case, build=build)

    @pytest.mark.parametrize("kind", ["off", "NaN", "fails"])
    def test_no_number_for_a_wrong_result(
        self, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        case = self.broken(kind)
        monkeypatch.setattr(command, "_CASES", (case,))
        with pytest.raises(SystemExit, match="1"):
            run()
        eager, ours = (line for line in capsys.readouterr().out.splitlines() if case.name in line)
        assert "refused" not in eager
        assert "refused" in ours
        [_, row] = compare(case, PLAN, CEILINGS)
        assert (row.microseconds, row.host_microseconds, row.launches) == (None, None, None)


def test_launches_and_bytes() -> None:
    x = torch.zeros(64, 32)

    def call(x: torch.Tensor) -> torch.Tensor:
        return (x.view(32, 64).t().reshape(-1) + 1)[5:]

    seen = count(call, x)
    size = 64 * 32 * 4
    # The view and the slice are free, the transposed reshape copies, the sum makes a new tensor.
    assert (seen.launches, seen.bytes, seen.kernels) == (2, 4 * size, None)


def test_floor_is_the_larger_of_arithmetic_and_traffic() -> None:
    ceilings = Ceilings(bytes_per_second=1e9, flops_per_second=1e12)
    assert ceilings.floor_microseconds(flops=10**9, moved=10**6) == pytest.approx(1000)
    assert ceilings.floor_microseconds(flops=10**10, moved=10**6) == pytest.approx(10000)


class TestGeluVerdict:
    @staticmethod
    def row(variant: str, time: float | None) -> Row:
        return Row(
            "llava", "stage", variant, {"images": 8}, 0.0, 1.0, time, 1.0, 1, None, 1, 1.0, 1
        )

    @pytest.mark.parametrize(
        ("fused", "compiled", "verdict"),
        [(96.0, 110.0, "keep"), (98.0, 110.0, "leave it out"), (90.0, 91.0, "leave it out")],
    )
    def test_keeps_what_wins_by_three_percent(
        self, fused: float, compiled: float, verdict: str
    ) -> None:
        rows = [self.row("eager", 100), self.row("compiled", compiled)]
        rows += [self.row("gelu_fit-0", fused), self.row("gelu_fit-1", 10 * fused)]
        assert report.gelu_verdict(rows).startswith(f"gelu_fit: {verdict}")

    def test_a_wrong_result_is_no_reason_to_keep_it(self) -> None:
        rows = [self.row("eager", 100), self.row("gelu_fit-0", None)]
        assert "not measured" in report.gelu_verdict(rows)


class TestAttentionVerdict:
    @staticmethod
    def row(variant: str, time: float | None) -> Row:
        return Row(
            "clip", "attention", variant, {"images": 8}, 0.0, 1.0, time, 1.0, 1, None, 1, 1.0, 1
        )

    @pytest.mark.parametrize(
        ("time", "verdict"),
        [(70.0, "keep as an option"), (82.0, "keep as an option"), (90.0, "leave it out")],
    )
    def test_xformers_stays_where_it_wins_or_ties(self, time: float, verdict: str) -> None:
        rows = [self.row("eager", 100), self.row("vllm", 80), self.row("xformers", time)]
        said = report.attention_verdict(rows)
        assert said.startswith(f"xformers: clip: {verdict} ({time / 80:.2f}")

    def test_a_wrong_result_is_no_measurement(self) -> None:
        rows = [self.row("eager", 100), self.row("xformers", None)]
        assert "not measured" in report.attention_verdict(rows)


class TestPredictions:
    PLAN = Plan("cuda", torch.bfloat16, tiny=False, compiled=True)

    @staticmethod
    def row(variant: str, time: float, images: int, **others: Any) -> Row:
        sizes = {"images": images, "rows": 576, "width": 1024, "hidden": 4096}
        fields = {"error": 0.0, "allowed": 1.0, "host_microseconds": 1.0, "launches": 1}
        fields |= {"kernels": None, "bytes": 1, "floor_microseconds": 1.0, "flops": images}
        return Row("llava-1.5-7b", "stage", variant, sizes, microseconds=time, **fields | others)

    def lines(self, *rows: Row) -> dict[str, list[str]]:
        table = predictions.prediction_table(rows, (*ALL_CASES, *STAGES), self.PLAN)
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
        return {line[0]: line[4:] for line in cells[2:]}

    def test_each_is_of_a_case_at_sizes_that_it_has(self) -> None:
        cases = {(case.name, case.op): case for case in (*ALL_CASES, *STAGES)}
        for one in predictions.PREDICTIONS:
            assert set(one.sizes) <= set(cases[one.case, one.kind].real), one
        measured = [
            (case.name, *sizes.values(), plan.compiled)
            for case in cases.values()
            for sizes, plan in predictions.further_sizes(case, self.PLAN)
        ]
        assert ("llava-1.5-7b", 64, 576, 1024, 4096, True) in measured
        assert ("llava-1.5-7b", 1, 576, 1024, 4096, False) in measured
        assert len(measured) == len(set(measured)) == 7

    def test_the_outcome_stands_beside_each(self) -> None:
        found = self.lines(
            self.row("eager", 320, 8),
            self.row("triton", 300, 8),
            self.row("eager", 65, 1),
            self.row("triton", 66, 1),
            self.row("eager", 2300, 64),
            self.row("compiled", 2100, 64),
            self.row("triton", 2150, 64),
            self.row("fp8", 1300, 64),
            self.row("gelu_fit-0", 2080, 64),
            self.row("gelu_fit-1", 2090, 64),
        )
        assert found["LLaVA-1.5-7B, 8 images"] == ["320.0", "300.0", "keep"]
        assert found["LLaVA-1.5-7B, 1 image"] == ["65.0", "66.0", "keep"]
        assert found["LLaVA-1.5-7B, 64 images, e4m3"] == ["2300.0", "1300.0", "keep"]
        assert found["gelu_fit in the first product, 64 images"] == ["2300.0", "2080.0", "drop"]
        assert found["Gemma-3-4B, 8 images"] == ["", "", ""]

    def test_what_is_no_faster_is_dropped(self) -> None:
        found = self.lines(self.row("eager", 320, 8), self.row("triton", 312, 8))
        assert found["LLaVA-1.5-7B, 8 images"] == ["320.0", "312.0", "drop"]

    @pytest.mark.parametrize(("time", "verdict"), [(80.0, "keep"), (81.0, "drop")])
    def test_a_share_of_a_copys_bandwidth(self, time: float, verdict: str) -> None:
        rows = [
            replace(
                self.row(variant, time, 64, floor_microseconds=60.5),
                case="internvl",
                kind="gather_norm",
                sizes={"images": 64, "grid": 32, "width": 1024},
            )
            for variant in ("eager", "triton")
        ]
        assert self.lines(*rows)["InternVL2-8B, 64 tiles, norm and shuffle alone"][2] == verdict

    def test_the_page_has_the_table(self, tmp_path: Path) -> None:
        """As written by a measurement, or still without."""
        page = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
        copy = tmp_path / "page.md"
        copy.write_text(page, encoding="utf-8")
        empty = predictions.prediction_table([], (*ALL_CASES, *STAGES), self.PLAN)
        predictions.fill_page(copy, empty)
        kept = [line.split("|")[:5] for line in page.splitlines()]
        assert [
            line.split("|")[:5] for line in copy.read_text(encoding="utf-8").splitlines()
        ] == kept
        predictions.fill_page(copy, "one table\n")
        with pytest.raises(ValueError, match="has 0 tables"):
            predictions.fill_page(copy, empty)


def test_every_default_is_among_the_candidates() -> None:
    for op, config in DEFAULTS.items():
        assert dict(config) in list(candidates(op))


def test_torch_and_triton_are_enough() -> None:
    """As on a machine with a GPU and torch, to which vLLM is too large to carry."""
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('vllm', 'transformers', 'fastapi', 'pydantic')))\n"
        "from sensorium.benchmarks.kernels.command import main\n"
        "main(['--device', 'cpu', '--tiny', '--no-compile', '--repeats', '1', 'llava-1.5-7b',\n"
        "      'clip-336', 'one-image', 'llava-1.5-fp8'])\n"
        "import runpy; runpy.run_path('tests/gpu/test_kernels.py')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sdpa-masked" in done.stdout


class TestOptions:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["no-such-case"], "unknown cases ['no-such-case']; known: internvl"),
            (["--pin", "somewhere"], "a CPU runs the reference"),
            (["--page", "docs/kernels.md"], "of a GPU at real sizes"),
        ],
    )
    def test_wrong_ones_are_refused(
        self, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit, match="2"):
            run(*arguments)
        assert message in capsys.readouterr().err

    def test_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        run("--list")
        assert "llava-1.5-7b" in capsys.readouterr().out


@pytest.mark.engine  # the slow tier: Inductor compiles C++
@pytest.mark.filterwarnings("default")
def test_torch_compile_is_timed_too() -> None:
    [case] = (case for case in STAGES if case.name == "idefics3")
    rows = list(compare(case, replace(PLAN, compiled=True), CEILINGS))
    compiled = next(row for row in rows if row.variant == "compiled")
    assert compiled.passed, compiled
    assert compiled.microseconds is not None
    assert compiled.launches is None
