"""`bench media`, `offline` and `startup`: what can be told without an engine, and with one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sensorium.benchmarks.commands import startup
from sensorium.benchmarks.commands.compare import equal_arguments
from sensorium.benchmarks.local.media_paths import decode, measure_in_turns
from sensorium.serving.cli.main import main
from tests.benchmarks.test_compare import fake


class TestMedia:
    def test_pictures_come_out_of_the_path_they_went_into(self) -> None:
        seen = []

        def path(url: str) -> object:
            picture = decode(url)
            seen.append(picture.tobytes())
            return picture.size

        (cost,) = measure_in_turns({"decode": path}, (64, 48), "png", count=5)
        assert len(set(seen)) == 5
        assert len(seen) == 2 + 5 * 5  # two of them only to warm up
        assert cost.cpu_seconds > 0
        assert cost.images_per_core_second == pytest.approx(1 / cost.cpu_seconds)


class TestStartup:
    def test_starts_in_turns_and_means(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from sensorium.benchmarks.compare import servers

        monkeypatch.setattr(servers, "make_side", lambda kind, *_: fake(kind, 1))
        path = tmp_path / "startup.json"
        command = ["bench", "startup", "--sides", "sensorium", "vllm", "--rounds", "2"]
        assert main([*command, "--json", str(path)]) == 0
        names = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[1:]]
        assert names[:4] == ["sensorium 1", "vllm 1", "vllm 2", "sensorium 2"]
        assert names[4:] == ["sensorium, mean", "vllm, mean"]
        starts = json.loads(path.read_text())["starts"]
        for one in (*starts["vllm"], *starts["sensorium"]):
            assert 0 < one["ready_seconds"] <= one["first_answer_seconds"]
            assert one["memory_bytes"] > 1 << 20

    def test_no_round_is_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bench", "startup", "--rounds", "0"]) == 2
        assert startup.__all__ == ["configure", "run"]


class TestOffline:
    def test_what_needs_a_server_is_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["bench", "offline", "--endpoint", "embeddings"]) == 2
        assert "--endpoint chat" in capsys.readouterr().err

    def test_the_front_ends_arguments_are_left_out(self) -> None:
        extra = set(equal_arguments()) - set(equal_arguments(frontend=False))
        assert extra == {"--enable-prompt-tokens-details"}


@pytest.mark.engine
class TestEngine:
    """In processes of their own: an engine cannot be let go of in this one."""

    def test_offline(self, tmp_path: Path) -> None:
        path = tmp_path / "offline.json"
        options = ["--num-requests", "4", "--rounds", "1", "--images", "64x48", "--ignore-eos"]
        run_bench("offline", "demo", *options, "--output-tokens", "5", "--json", str(path))
        (batch,) = json.loads(path.read_text())["rounds"]
        assert (batch["requests"], batch["output_tokens"]) == (4, 20)
        assert batch["input_tokens"] > 4 * 64

    def test_media(self, tmp_path: Path) -> None:
        path = tmp_path / "media.json"
        options = ["--images", "64x48", "--image-format", "png", "--count", "2"]
        run_bench("media", "demo", *options, "--json", str(path))
        document = json.loads(path.read_text())
        costs = {cost["path"]: cost["cpu_seconds"] for cost in document["costs"]}
        ours = {"Sensorium", "Sensorium, exact"}
        assert set(costs) == {"decode", "Hugging Face", "vLLM"} | ours
        assert costs["decode"] < min(costs["Hugging Face"], costs["vLLM"])
        assert all(costs[path] > 0 for path in ours)
        rates = {rate["path"]: rate["images_per_second"] for rate in document["rates"]}
        assert set(rates) == {"vLLM", "Sensorium"}
        assert all(0 < rate < 16 / costs["decode"] for rate in rates.values())

    def test_compare(self, tmp_path: Path) -> None:
        options = ["--rows", "image", "--concurrency", "2", "--rounds", "1", "--requests", "1"]
        run_bench("compare", "demo", *options, "--out", str(tmp_path))
        (path,) = tmp_path.glob("*.json")
        document = json.loads(path.read_text())
        for cell in document["cells"]:
            result = cell["result"]
            assert result["answered"] == result["requests"] == 32
            assert result["tokens"]["output"] == 32 * 16
            assert result["tokens"]["image"] > 32
        assert {"queue", "prefill", "decode"} <= set(document["cells"][0]["result"]["stages"])


def run_bench(*arguments: str) -> None:
    """Run `sensorium bench`; a failure shows its output."""
    import subprocess
    import sys

    start = [sys.executable, "-P", "-m", "sensorium.serving", "bench", *arguments]
    done = subprocess.run(start, check=False, capture_output=True, text=True, timeout=290)
    assert done.returncode == 0, done.stdout + done.stderr
