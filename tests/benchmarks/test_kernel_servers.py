"""Servers with dummy weights: their folders, what is read from a trace, tables; one dry run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorium.benchmarks.kernels import servers
from sensorium.benchmarks.kernels.checkpoints import SHAPES, Shape
from sensorium.benchmarks.kernels.server_report import server_tables
from sensorium.benchmarks.kernels.trace import STAGES, mark_stages, summarize


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize("tiny", [True, False], ids=["tiny", "7B"])
def test_a_folder_without_weights(shape: Shape, tiny: bool, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoProcessor

    folder = tmp_path / shape.name
    shape.write(folder, tiny)
    config = AutoConfig.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    text = config.get_text_config()
    vocabulary = len(processor.tokenizer)
    # Else tokens drawn from dummy weights would be no text, and no event would hold any.
    assert vocabulary == text.vocab_size
    assert processor.tokenizer.decode([vocabulary - 1]).startswith("token")
    content = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}])
    image = torch.zeros(3, 280, 280, dtype=torch.uint8)
    ids = processor(text=prompt, images=[image]).input_ids[0]
    wanted = {"llava-1.5-7b": 16 if tiny else 576, "qwen2-vl-7b": 36 if tiny else 100}
    image_token = getattr(config, "image_token_id", None) or config.image_token_index
    assert list(ids).count(image_token) == wanted[shape.name]


class TestSizesArePublished:
    def count(self, name: str, tmp_path: Path) -> int:
        from transformers import AutoConfig, AutoModelForImageTextToText

        shape = next(shape for shape in SHAPES if shape.name == name)
        shape.write(tmp_path / name, False)
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(
                AutoConfig.from_pretrained(tmp_path / name)
            )
        return sum(parameter.numel() for parameter in model.parameters())

    def test_llava(self, tmp_path: Path) -> None:
        assert self.count("llava-1.5-7b", tmp_path) == 7_063_427_072

    def test_qwen2_vl(self, tmp_path: Path) -> None:
        assert self.count("qwen2-vl-7b", tmp_path) == 8_291_375_616


def call(category: str, name: str, begin: float, lasting: float, **more: Any) -> dict[str, Any]:
    tid = more.pop("tid", 1)
    event = {"ph": "X", "cat": category, "name": name, "ts": begin, "dur": lasting, "tid": tid}
    return {**event, "args": more}


def launch(begin: float, number: int, lasting: float, tid: int = 1) -> list[dict[str, Any]]:
    """A launch on the host, and its kernel later on the device."""
    return [
        call("cuda_runtime", "cudaLaunchKernel", begin, 1, correlation=number, tid=tid),
        call("kernel", "some_kernel", begin + 1000, lasting, correlation=number, tid=7),
    ]


class TestTrace:
    def test_what_a_stage_launched_is_counted_to_it(self) -> None:
        events = [
            call("user_annotation", "sensorium stage: merge", 100, 50),
            call("user_annotation", "sensorium stage: merge", 110, 10),
            call("gpu_user_annotation", "sensorium stage: merge", 1100, 70, tid=7),
            *launch(90, 1, 3),
            *launch(112, 2, 5),
            *launch(120, 3, 7),
            *launch(125, 4, 100, tid=2),
            call("cuda_runtime", "cudaStreamSynchronize", 130, 15, correlation=9),
            call("cuda_runtime", "cudaStreamSynchronize", 170, 15, correlation=10),
        ]
        found = summarize(events)
        assert set(found) == {"merge", "whole batch"}
        merge = found["merge"]
        assert (merge.calls, merge.host_microseconds) == (1, 50)
        assert merge.device_microseconds == 12
        assert (merge.kernels, merge.launches, merge.waits) == (2, 2, 1)
        whole = found["whole batch"]
        assert (whole.calls, whole.kernels, whole.launches, whole.waits) == (1, 4, 4, 2)

    def test_a_graph_is_one_launch_of_many_kernels(self) -> None:
        events = [
            call("cuda_runtime", "cudaGraphLaunch", 10, 5, correlation=1),
            *(call("kernel", "k", 20 + n, 1, correlation=1, tid=7) for n in range(3)),
        ]
        whole = summarize(events)["whole batch"]
        assert (whole.kernels, whole.launches, whole.device_microseconds) == (3, 1, 3)

    def test_without_a_device_there_are_host_times_only(self) -> None:
        events = [
            call("user_annotation", "sensorium stage: media", 0, 5),
            call("cpu_op", "x", 1, 2),
        ]
        media = summarize(events)["media"]
        assert media.host_microseconds == 5
        assert (media.device_microseconds, media.kernels, media.waits) == (None, None, None)

    def test_marks_show_in_a_trace_and_change_no_result(self, tmp_path: Path) -> None:
        class Model(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.multi_modal_projector = torch.nn.Linear(2, 2)

            def embed_multimodal(self, x: torch.Tensor) -> torch.Tensor:
                projected: torch.Tensor = self.multi_modal_projector(x)
                return projected

        model, x = Model(), torch.ones(1, 2)
        expected = model.embed_multimodal(x)
        assert mark_stages(model) == ["media", "projector"]
        with torch.profiler.profile() as profiler:
            torch.testing.assert_close(model.embed_multimodal(x), expected)
        profiler.export_chrome_trace(str(tmp_path / "trace.json"))
        found = summarize(json.loads((tmp_path / "trace.json").read_text())["traceEvents"])
        assert (found["media"].calls, found["projector"].calls) == (1, 1)
        assert 0 < found["projector"].host_microseconds < found["media"].host_microseconds


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_7b_on_a_cpu_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        servers.main([])
    assert "--tiny makes a dry run" in capsys.readouterr().err


def test_an_unknown_model_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        servers.main(["--tiny", "nonsense"])
    assert "llava-1.5-7b, qwen2-vl-7b" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_triton_on_a_cpu_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        servers.main(["--tiny", "--sides", "vllm", "sensorium-triton"])
    assert "sensorium-triton needs a GPU" in capsys.readouterr().err


def test_each_side_stands_beside_the_best_in_the_models_dtype() -> None:
    sides = servers._sides("folder", [], True, [])
    names = ["vllm", "sensorium-reference", "sensorium-triton", "sensorium-fp8"]
    assert [side.name for side in sides] == names
    pairs = [(one.name, other.name) for one, other in servers._pairs(sides)]
    assert pairs == [(names[0], names[2]), (names[1], names[2]), (names[2], names[3])]
    assert "triton" in sides[3].command
    assert [side.name for side in servers._sides("folder", [], False, [])] == [*names[:2], names[3]]
    assert "reference" in servers._sides("folder", [], False, [])[2].command


@pytest.mark.engine
@pytest.mark.timeout(1800)
def test_a_dry_run(tmp_path: Path) -> None:
    out = tmp_path / "servers.json"
    options = ["--tiny", "--rounds", "1", "--requests", "2", "--concurrency", "2"]
    options += ["--rows", "image", "--sides", "vllm", "sensorium-fp8"]
    servers.main(["qwen2-vl-7b", *options, "--out", str(out)])
    result = json.loads(out.read_text())
    found = result["models"]["qwen2-vl-7b"]
    line = found["comparisons"][0]["lines"][0]
    assert line["failed"] == [0, 0]
    assert min(line["a_rate"], line["b_rate"]) > 0
    assert {time["stage"] for time in found["stages"]} >= {"queue", "prefill", "decode"}
    for side in ("vllm", "sensorium-fp8"):
        [batch] = found["traces"][side]
        stages = batch["stages"]
        assert set(stages) == {*STAGES, "whole batch"} - {"tower"}
        assert stages["media"]["host_microseconds"] > stages["projector"]["host_microseconds"] > 0
        assert stages["media"]["kernels"] is None or stages["media"]["kernels"] > 0
        ours = {f"sensorium::{name}" for name in ("gather_norm", "gather_norm_fp8", "embed_merge")}
        assert set(batch["operators"]) == (ours if side == "sensorium-fp8" else set())
    assert "sensorium-servers-" not in out.read_text()
    assert out.with_suffix(".md").read_text() == server_tables(result)
