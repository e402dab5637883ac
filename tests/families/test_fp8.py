"""A composed model whose projector computes in e4m3: decided as it is served, near its authors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensorium.kernels import runtime
from sensorium.kernels.fp8 import FOLDER_VARIABLE, OPERATION, Fp8Linear
from sensorium.kernels.selection import KernelUnavailableError
from sensorium.model_adapters.demo import SAMPLES
from sensorium.model_adapters.engine.runner_buffer import TARGET
from tests.families.parity import CASES, Subject, serving
from tests.families.reference import Reference
from tests.families.test_llava import VICUNA

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def subject(folder: Path) -> Iterator[Subject]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(SAMPLES))
        patch.setenv(runtime.MODE_VARIABLE, "reference")
        with serving("llava-inside", folder, VICUNA, read) as subject:
            yield subject


def read(checkpoint: Path) -> Reference:
    return Reference(checkpoint, (checkpoint / "clip-tiny-inside").resolve(), inside=True)


def fp8_layers(model: Any) -> int:
    return sum(isinstance(module, Fp8Linear) for module in model.modules())


def asked(subject: Subject, media: Path) -> Any:
    """A decision that is still to be made, for the model that is served."""
    from sensorium.model_adapters.engine.fp8_projection import Fp8Projection

    return Fp8Projection(subject.served.runner.vllm_config, media)


def test_a_folder_without_media_is_an_error(subject: Subject, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")

    def decide(model: Any) -> str:
        with pytest.raises(ValueError, match=r"has none that this model takes \(\.jpg") as raised:
            asked(subject, tmp_path).decide(model)
        (tmp_path / "broken.png").write_bytes(b"no picture")
        with pytest.raises(ValueError, match="cannot read the picture"):
            asked(subject, tmp_path).decide(model)
        return str(raised.value)

    [said] = subject.served.llm.apply_model(decide)
    assert str(tmp_path) in said


def test_a_device_without_e4m3_is_refused(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(runtime.MODE_VARIABLE, "auto")
    with pytest.raises(KernelUnavailableError, match="no e4m3 numbers"):
        asked(subject, SAMPLES)


def test_what_passes_the_gate_is_served(subject: Subject) -> None:
    before = runtime.calls()
    llm = subject.served.llm
    assert llm.apply_model(fp8_layers) == [0]
    case = CASES[1]
    [answer] = subject.serve([case])
    ran = {key for key, count in runtime.calls().items() if count > before.get(key, 0)}
    [(implementation, reason)] = [key[1:] for key in ran if key[0] == OPERATION]
    assert (implementation, llm.apply_model(fp8_layers)) == ("e4m3", [2]), reason
    assert "in the worst token" in reason
    # Rows are gathered and quantised in one operator, and merged into the runner's buffer.
    assert ("gather_norm", "reference", "asked for") in ran
    assert {key[1] for key in ran if key[0] == TARGET} == {"runner's buffer"}
    rows = subject.reference.answer(subject.authors_prompt(case), case.media)[1]
    first = max(abs(value - float(rows[0][token])) for token, value in answer.top[0].items())
    assert 1e-4 < first < 0.5
