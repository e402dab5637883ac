"""When a merge may write into the runner's buffer, and that vLLM has what we wrap."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sensorium.model_adapters.engine import runner_buffer
from sensorium.model_adapters.engine.runner_buffer import offered, target

TABLE = torch.zeros(7, 4)
IDS = torch.zeros(10, dtype=torch.int32)
BUFFER = torch.zeros(10, 4)


def test_the_step_s_part_of_the_buffer_is_given() -> None:
    with offered(IDS, BUFFER):
        found = target(IDS[:3], TABLE)
    assert found.rows is not None
    assert (found.rows.data_ptr(), found.rows.shape) == (BUFFER.data_ptr(), (3, 4))


@pytest.mark.parametrize(
    ("ids", "buffer", "why"),
    [
        (IDS[1:4], BUFFER, "not the runner's own"),
        (torch.zeros(3, dtype=torch.int32), BUFFER, "not the runner's own"),
        (IDS[:3], BUFFER.half(), "another form"),
        (IDS[:3], torch.zeros(10, 5), "another form"),
        (IDS[:3], torch.zeros(2, 4), "another form"),
        (IDS[:3], torch.zeros(10, 8)[:, ::2], "another form"),
        (IDS[:3], None, "known runner"),
    ],
)
def test_what_does_not_fit_is_left_alone(ids: torch.Tensor, buffer: Any, why: str) -> None:
    with offered(IDS, buffer):
        found = target(ids, TABLE)
    assert found.rows is None
    assert why in found.reason


def test_outside_of_a_step_there_is_no_buffer() -> None:
    with offered(IDS, BUFFER):
        pass
    assert target(IDS[:3], TABLE).rows is None


class First:
    """As vLLM's first runner: buffers of its own, and embeddings asked for in the middle."""

    def __init__(self) -> None:
        self.input_ids, self.inputs_embeds = SimpleNamespace(gpu=IDS), SimpleNamespace(gpu=BUFFER)

    def _preprocess(self, scheduled: int) -> torch.Tensor | None:
        return target(self.input_ids.gpu[:scheduled], TABLE).rows


class Second:
    """As vLLM's second runner, which is handed the ids."""

    inputs_embeds = BUFFER

    def get_inputs_embeds(self, input_ids: torch.Tensor, scheduled: int) -> torch.Tensor | None:
        return target(input_ids[:scheduled], TABLE).rows


def test_both_runners_are_followed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        "vllm.v1.worker.gpu_model_runner": SimpleNamespace(GPUModelRunner=First),
        "vllm.v1.worker.gpu.mm.encoder_runner": SimpleNamespace(EncoderRunner=Second),
    }
    monkeypatch.setattr(runner_buffer.importlib, "import_module", modules.__getitem__)
    assert First()._preprocess(3) is None
    runner_buffer.follow_runners()
    wrapped = First._preprocess
    runner_buffer.follow_runners()
    assert First._preprocess is wrapped
    for rows in (First()._preprocess(3), Second().get_inputs_embeds(IDS, scheduled=3)):
        assert rows is not None
        assert rows.data_ptr() == BUFFER.data_ptr()


def test_another_runner_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        if name.endswith("encoder_runner"):
            raise ImportError(name)
        return SimpleNamespace()

    monkeypatch.setattr(runner_buffer.importlib, "import_module", absent)
    runner_buffer.follow_runners()


@pytest.mark.engine
@pytest.mark.filterwarnings("default")
def test_vllm_has_both_methods_and_their_buffers() -> None:
    """The parts of vLLM 0.32 that the wrappers lean on, the second runner's by its source."""
    import inspect

    from vllm.v1.worker.gpu.mm.encoder_runner import EncoderRunner
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    first = inspect.getsource(inspect.unwrap(GPUModelRunner._preprocess))
    assert "self.inputs_embeds.gpu[:num_scheduled_tokens].copy_(" in first
    assert "self.input_ids.gpu[:num_scheduled_tokens],\n" in first
    second = inspect.getsource(inspect.unwrap(EncoderRunner.get_inputs_embeds))
    assert "self.inputs_embeds[: x.shape[0]] = x" in second
    assert list(inspect.signature(EncoderRunner.get_inputs_embeds).parameters)[:2] == [
        "self",
        "input_ids",
    ]
