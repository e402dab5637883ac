"""Selection and pinned configurations: pure functions, tried for devices that are not here."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sensorium.kernels import runtime
from sensorium.kernels.pack_project import pack_rows
from sensorium.kernels.pinned import FOLDER_VARIABLE, read_all, read_pinned, write_pinned
from sensorium.kernels.selection import (
    DEFAULTS,
    Device,
    KernelUnavailableError,
    Pinned,
    Problem,
    e4m3_obstacle,
    select,
)

H100 = Device("cuda", "NVIDIA H100", (9, 0))
A100 = Device("cuda", "NVIDIA A100", (8, 0))
MI300 = Device("hip", "AMD Instinct MI300X", (9, 4))
CPU = Device("cpu")
INTERNVL = Problem("gather_norm", 256, (4, 1024), "bfloat16", "layer")


def entry(rows: int, backend: str = "triton", **config: int) -> Pinned:
    return Pinned("gather_norm", (4, 1024), "bfloat16", "layer", rows, backend, config)


class TestAuto:
    def test_a_cpu_runs_the_reference_and_that_is_no_fallback(self) -> None:
        choice = select(INTERNVL, CPU, "auto", [entry(10**6, num_warps=8)])
        assert (choice.backend, choice.fallback) == ("reference", False)

    def test_a_gpu_that_nobody_measured_runs_the_reference(self) -> None:
        choice = select(INTERNVL, H100, "auto")
        assert (choice.backend, choice.fallback) == ("reference", True)
        assert choice.reason == "not measured on this device"

    def test_what_was_measured_decides(self) -> None:
        pinned = [entry(64, "reference"), entry(512, num_warps=4), entry(4096, num_warps=16)]
        by_rows = {
            rows: select(replace(INTERNVL, rows=rows), H100, "auto", pinned)
            for rows in (1, 64, 65, 512, 513, 10**6)
        }
        assert [by_rows[n].backend for n in (1, 64)] == ["reference"] * 2
        assert [by_rows[n].config for n in (65, 512)] == [{"num_warps": 4}] * 2
        assert [by_rows[n].config for n in (513, 10**6)] == [{"num_warps": 16}] * 2
        assert not any(choice.fallback for choice in by_rows.values())

    @pytest.mark.parametrize(
        "other",
        [
            replace(INTERNVL, sizes=(4, 1152)),
            replace(INTERNVL, dtype="float16"),
            replace(INTERNVL, variant="rms"),
            Problem("pack_rows", 256, (4, 1024), "bfloat16"),
        ],
    )
    def test_a_measurement_holds_for_its_own_problem_only(self, other: Problem) -> None:
        assert select(other, H100, "auto", [entry(512, num_warps=4)]).backend == "reference"

    @pytest.mark.parametrize(
        ("problem", "device", "reason"),
        [
            (INTERNVL, replace(H100, triton=False), "triton is not installed"),
            (replace(INTERNVL, dtype="float64"), H100, "float64"),
            (replace(INTERNVL, sizes=(16, 3200)), H100, "do not fit into registers"),
            (replace(INTERNVL, variant="layer+fp8"), A100, "no e4m3"),
            (replace(INTERNVL, variant="layer+fp8"), MI300, "no e4m3"),
        ],
    )
    def test_what_triton_cannot_do_falls_back_with_the_reason(
        self, problem: Problem, device: Device, reason: str
    ) -> None:
        choice = select(problem, device, "auto")
        assert (choice.backend, choice.fallback) == ("reference", True)
        assert reason in choice.reason
        with pytest.raises(KernelUnavailableError, match="use auto or reference"):
            select(problem, device, "triton")


class TestOverride:
    @pytest.mark.parametrize("device", [H100, A100, MI300, replace(CPU, interpreted=True)])
    def test_triton_runs_with_the_default_where_nothing_was_measured(self, device: Device) -> None:
        choice = select(INTERNVL, device, "triton")
        assert (choice.backend, choice.config) == ("triton", DEFAULTS["gather_norm"])

    def test_triton_runs_even_where_it_lost(self) -> None:
        assert select(INTERNVL, H100, "triton", [entry(512, "reference")]).backend == "triton"

    def test_triton_on_a_cpu_is_an_error(self) -> None:
        with pytest.raises(KernelUnavailableError, match="the device is a CPU"):
            select(INTERNVL, CPU, "triton")

    def test_reference_never_runs_triton(self) -> None:
        choice = select(INTERNVL, H100, "reference", [entry(512, num_warps=4)])
        assert (choice.backend, choice.fallback) == ("reference", False)

    def test_other_modes_and_operators_are_errors(self) -> None:
        with pytest.raises(ValueError, match="auto, triton, reference"):
            select(INTERNVL, H100, "fast")
        with pytest.raises(ValueError, match="unknown operator 'gather'"):
            select(replace(INTERNVL, op="gather"), H100, "auto")


class TestPinned:
    def test_written_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        entries = (entry(512, num_warps=4), entry(4096, "reference"))
        path = write_pinned(tmp_path, "NVIDIA H100 80GB (x)", entries, {"torch": "2"})
        assert path.name == "NVIDIA_H100_80GB_x.json"
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
        assert read_pinned("NVIDIA H100 80GB (x)") == entries
        assert read_pinned("another") == ()

    def test_a_broken_file_says_how_to_write_it_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "gpu.json").write_text('{"entries": [{"op": 1}]}')
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
        with pytest.raises(ValueError, match="--pin"):
            read_pinned("gpu")

    def test_what_comes_with_the_package_can_be_read(self) -> None:
        assert all(entry.op in DEFAULTS for entry in read_all())


class TestRuntime:
    X = torch.zeros(2, 8)
    SOURCE = torch.zeros(1, dtype=torch.int32)

    def test_calls_are_counted_with_the_reason(self) -> None:
        key = ("pack_rows", "reference", "the CPU runs the reference")
        before = runtime.calls().get(key, 0)
        pack_rows(self.X, self.SOURCE)
        assert runtime.calls()[key] == before + 1

    def test_a_mode_that_is_none_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(runtime.MODE_VARIABLE, "fast")
        with pytest.raises(ValueError, match="allowed: auto, triton, reference"):
            pack_rows(self.X, self.SOURCE)

    def test_triton_on_a_cpu_is_refused_at_load_and_at_a_call(self) -> None:
        with runtime.forced("triton"):
            with pytest.raises(KernelUnavailableError):
                runtime.require_mode(torch.device("cpu"))
            with pytest.raises(KernelUnavailableError):
                pack_rows(self.X, self.SOURCE)

    def test_a_fallback_is_logged_once(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        gpu = replace(H100, name="a GPU of this test")
        monkeypatch.setattr(runtime, "describe_device", lambda device: gpu)
        with caplog.at_level(logging.WARNING, "sensorium.kernels"):
            for _ in range(3):
                pack_rows(self.X, self.SOURCE)
        messages = [record.getMessage() for record in caplog.records]
        assert messages == ["pack_rows falls back to reference: not measured on this device"]

    def test_the_first_call_goes_through_every_pinned_configuration(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gpu = replace(H100, name="another GPU of this test")
        pinned = (
            entry(64, "reference"),
            entry(512, num_warps=4),
            entry(4096, num_warps=16),
            replace(entry(512, num_warps=2), sizes=(4, 3200)),
        )
        monkeypatch.setattr(runtime, "describe_device", lambda device: gpu)
        monkeypatch.setattr(runtime, "_pinned", lambda name: pinned)
        device = torch.device("cuda", 7)
        choice = select(INTERNVL, gpu, "auto", pinned)
        first = list(runtime.configurations(INTERNVL, choice, device))
        assert first == [{"num_warps": 16}, {"num_warps": 4}]
        more = replace(INTERNVL, rows=4000)
        choice = select(more, gpu, "auto", pinned)
        assert list(runtime.configurations(more, choice, device)) == [{"num_warps": 16}]


@pytest.mark.parametrize(
    ("device", "dtype", "mode", "obstacle"),
    [
        (H100, "torch.bfloat16", "auto", None),
        (H100, "torch.float32", "triton", "give --dtype bfloat16 or float16"),
        (A100, "torch.bfloat16", "auto", "no e4m3 numbers"),
        (MI300, "torch.float16", "auto", "no e4m3 numbers"),
        (Device("cpu"), "torch.float32", "auto", "no e4m3 numbers"),
        (Device("cpu"), "torch.float32", "reference", None),
    ],
)
def test_where_e4m3_computes(device: Device, dtype: str, mode: str, obstacle: str | None) -> None:
    found = e4m3_obstacle(device, dtype, mode)
    assert (found is None) == (obstacle is None)
    assert obstacle is None or obstacle in str(found)
