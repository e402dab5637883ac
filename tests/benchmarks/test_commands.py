"""`sensorium bench serve`, `report` and `overhead` from the outside, against a fake server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sensorium.benchmarks.commands.table import COMMANDS
from sensorium.serving.cli.main import main
from tests.kit.snapshots import check_snapshot

HEAVY = ("aiohttp", "httpx", "numpy", "PIL", "torch", "transformers", "vllm")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A fake server in a process of its own."""
    options = ["--first-ms", "5", "--gap-ms", "1", "--tokens", "4"]
    start = [sys.executable, "-P", "-m", "sensorium.benchmarks.fake_server", *options]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture(scope="module")
def result(address: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of a run of two levels with media."""
    path = tmp_path_factory.mktemp("bench") / "run.json"
    options = ["--images", "64x48:1,32x32:1", "--reuse", "0.5", "--goodput", "ttft:1000"]
    command = ["bench", "serve", "--url", address, "--concurrency", "2,4", "--num-requests", "40"]
    assert main([*command, *options, "--json", str(path), "--save-requests", "--quiet"]) == 0
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def shape(value: Any, name: str = "") -> Iterator[str]:
    """The names and types of a JSON value, lists by their first element."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from shape(value[key], f"{name}.{key}")
    elif isinstance(value, list) and value:
        yield from shape(value[0], f"{name}[]")
    else:
        kind = {int: "number", float: "number"}.get(type(value), type(value).__name__)
        yield f"{name[1:]}: {kind}"


class TestServe:
    def test_the_document_is_pinned(self, result: dict[str, Any]) -> None:
        depends = ("versions", "machine", "server", "levels[].server", "levels[].caches")
        lines = [line for line in shape(result) if not line.startswith(depends)]
        check_snapshot("bench_document", "\n".join(lines))

    def test_it_holds_what_was_asked_and_measured(self, result: dict[str, Any]) -> None:
        assert result["settings"]["reuse"] == 0.5
        assert result["settings"]["model"] == "fake"
        assert [level["concurrency"] for level in result["levels"]] == [2, 4]
        for level in result["levels"]:
            assert level["answered"] == level["requests"] == 40
            assert level["tokens"]["output"] == 160
            assert 0.2 < level["media"]["reused_share"] < 0.8
            assert {size["label"] for size in level["by_size"]} == {"64x48", "32x32"}
            assert level["ttft_ms"]["mean"] >= 5.0
        judged = result["levels"][result["judged_level"]]
        assert result["ttft_ms"] == judged["ttft_ms"]

    def test_levels_do_not_repeat_each_others_media(self, result: dict[str, Any]) -> None:
        first, second = result["requests"]
        assert [r["bytes_up"] for r in first] != [r["bytes_up"] for r in second]

    @pytest.mark.parametrize("wire", ["http", "file"])
    def test_other_wires_send_less(
        self, wire: str, address: str, result: dict[str, Any], tmp_path: Path
    ) -> None:
        path = tmp_path / "run.json"
        command = ["bench", "serve", "--url", address, "--images", "64x48", "--wire", wire]
        assert main([*command, "--num-requests", "5", "--json", str(path), "--quiet"]) == 0
        (level,) = json.loads(path.read_text())["levels"]
        assert level["answered"] == 5
        assert level["bytes_up"] / 5 < 0.3 * result["levels"][0]["bytes_up"] / 40

    @pytest.mark.parametrize("endpoint", ["completions", "embeddings", "transcriptions"])
    def test_other_endpoints(self, endpoint: str, address: str, tmp_path: Path) -> None:
        path = tmp_path / "run.json"
        command = ["bench", "serve", "--url", address, "--endpoint", endpoint, "--audio", "0.2"]
        options = ["--num-requests", "5", "--json", str(path), "--quiet"]
        assert main([*command[: None if endpoint == "transcriptions" else -2], *options]) == 0
        (level,) = json.loads(path.read_text())["levels"]
        assert level["answered"] == 5
        assert (level["ttft_ms"] is None) == (endpoint == "embeddings")

    def test_no_server(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bench", "serve", "--url", "http://127.0.0.1:9"]) == 1
        assert "no server answers" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (["--rate", "0"], "write positive numbers"),
            (["--concurrency", "1,x"], "write positive numbers"),
            (["--reuse", "2"], "between 0 and 1"),
            (["--ramp-to", "5"], "give --rate too"),
            (["--rate", "1,2", "--sweep"], "give one number"),
            (["--goodput", "ttft"], "MEASURE:MILLISECONDS"),
            (["--images", "big"], "WIDTHxHEIGHT"),
            (["--image-format", "gif"], "jpeg, png, webp"),
            (["--extra-body", "[]"], "must be a JSON object"),
        ],
    )
    def test_wrong_options_are_named(
        self, options: list[str], says: str, address: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["bench", "serve", "--url", address, *options]) == 2
        assert says in capsys.readouterr().err


class TestReport:
    def test_a_run_against_itself_is_no_different(
        self, result: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "a.json"
        path.write_text(json.dumps(result))
        assert main(["bench", "report", str(path), str(path)]) == 0
        shown = capsys.readouterr().out
        rows = [line.split() for line in shown.splitlines() if line.startswith("ttft_ms")]
        assert [row[3] for row in rows] == ["1.000", "1.000"]
        assert all(row[-1] == "~" for row in rows)

    def test_differences_of_settings_are_told(
        self, result: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = json.loads(json.dumps(result))
        other["settings"]["reuse"] = 0.0
        other["levels"][0]["e2e_ms"]["mean"] *= 2
        paths = [tmp_path / name for name in ("a.json", "b.json")]
        for path, document in zip(paths, (result, other), strict=True):
            path.write_text(json.dumps(document))
        main(["bench", "report", *map(str, paths)])
        shown = capsys.readouterr().out
        assert "settings.reuse: 0.5 against 0.0" in shown
        assert "2.000" in shown

    def test_what_is_no_result_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "a.json"
        path.write_text('{"schema_version": "9.0", "levels": []}')
        assert main(["bench", "report", str(path)]) == 2
        assert "schema version 9.0" in capsys.readouterr().err

    def test_the_page_opens_without_a_network(self, result: dict[str, Any], tmp_path: Path) -> None:
        source, page = tmp_path / "a.json", tmp_path / "a.html"
        source.write_text(json.dumps(result))
        assert main(["bench", "report", str(source), "--html", str(page)]) == 0
        reader = PageReader()
        reader.feed(page.read_text())
        assert reader.fetched == []
        assert reader.tags["svg"] >= 8
        assert reader.tags["polyline"] > 4
        assert "NaN" not in page.read_text()
        for title in ("Latency", "Throughput against latency", "Over time", "By size"):
            assert title in page.read_text()


class PageReader(HTMLParser):
    """Counts tags, and notes everything that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]


class TestCommandLine:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_is_pinned_and_loads_nothing_heavy(self, command: str) -> None:
        code = (
            "import sys; from sensorium.serving.cli.main import main\n"
            "try: main(sys.argv[1:])\n"
            "except SystemExit: pass\n"
            f"print([name for name in {HEAVY!r} if name in sys.modules])"
        )
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SENSORIUM_")}
        start = [sys.executable, "-P", "-c", code, "bench", command, "--help"]
        environment["COLUMNS"] = "80"
        done = subprocess.run(start, check=True, capture_output=True, text=True, env=environment)
        *shown, heavy = done.stdout.splitlines()
        assert heavy == "[]"
        if sys.version_info[:2] in ((3, 11), (3, 12)):  # argparse words it otherwise elsewhere
            check_snapshot(f"help_bench_{command}", "\n".join(shown))

    def test_overhead_prints_what_the_tool_adds(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bench", "overhead", "--rate", "50", "--duration", "1"]) == 0
        shown = capsys.readouterr().out
        assert "ms CPU a request, so one core sends about" in shown
        assert "of 50 requests/s" in shown
