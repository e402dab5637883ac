"""The clock around a model's encoder, with a device that the test lets run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sensorium.serving.engine.encoder_clock import EncoderClock, follow_encoder
from sensorium.serving.media.times import STAGE_BUCKETS


class Device:
    """A stream of marks; `passed` says how many of them the device has passed."""

    def __init__(self) -> None:
        self.passed = 0
        self.marked = 0
        self.type = "cpu"

    def mark(self) -> DeviceMark:
        self.marked += 1
        return DeviceMark(self, self.marked)


class DeviceMark:
    def __init__(self, device: Device, number: int) -> None:
        self.device, self.number = device, number

    def query(self) -> bool:
        return self.device.passed >= self.number

    def elapsed_time(self, end: DeviceMark) -> float:
        assert end.query()
        return 30.0 * (end.number - self.number)


def counts(seconds: float) -> list[int]:
    """One observation."""
    bucket = next(place for place, bound in enumerate(STAGE_BUCKETS) if seconds <= bound)
    return [int(place == bucket) for place in range(len(STAGE_BUCKETS) + 1)]


def test_media_of_a_batch_share_its_time() -> None:
    device = Device()
    clock = EncoderClock(device.mark)
    with clock.batch([("a", "image"), ("a", "image"), ("b", "audio")]):
        pass
    device.passed = 2
    report = clock.report()
    assert report["audio"] == {"counts": counts(0.01), "seconds": pytest.approx(0.01)}
    assert report["image"]["seconds"] == pytest.approx(0.02)
    assert clock.of_requests(["a"]) == pytest.approx(0.02)
    assert clock.of_requests(["a"]) == 0.0  # told once
    assert clock.of_requests(["b", "c"]) == pytest.approx(0.01)


def test_nothing_is_waited_for() -> None:
    device = Device()
    clock = EncoderClock(device.mark)
    for request in "ab":
        with clock.batch([(request, "video")]):
            pass
    device.passed = 3  # the second batch runs still
    assert clock.report() == {"video": {"counts": counts(0.03), "seconds": pytest.approx(0.03)}}
    assert clock.of_requests(["b"]) == 0.0
    device.passed = 4
    assert clock.of_requests(["b"]) == pytest.approx(0.03)


def test_what_nobody_asks_for_is_not_kept_for_ever() -> None:
    device = Device()
    clock = EncoderClock(device.mark)
    for number in range(5000):
        with clock.batch([(str(number), "image")]):
            pass
        device.passed = device.marked
    assert clock.of_requests(map(str, range(900))) == 0.0
    assert clock.of_requests(map(str, range(904, 5000))) == pytest.approx(0.03 * 4096)


def feature(kind: str, name: str) -> Any:
    return SimpleNamespace(
        modality=kind, identifier=name, mm_position=SimpleNamespace(), data=object()
    )


def test_the_first_runner_is_followed() -> None:
    """As vLLM's `GPUModelRunner` calls it: references to requests and places, a group of them."""
    picture, sound = feature("image", "p"), feature("audio", "s")
    asked: list[Any] = []

    class Theirs:
        def __enter__(self) -> None:
            asked.append("in")

        def __exit__(self, *error: object) -> None:
            asked.append("out")

    runner = SimpleNamespace(
        device=Device(),
        requests={"r": SimpleNamespace(mm_features=[picture, sound])},
        timed_encoder_operation=lambda *args: asked.append(args) or Theirs(),
    )
    clock = follow_encoder(runner)
    refs = [("r", picture.mm_position), ("r", sound.mm_position)]
    with runner.timed_encoder_operation(False, refs, 1, 1):
        assert asked == [(False, refs, 1, 1), "in"]
    assert asked[-1] == "out"
    assert list(clock.report()) == ["audio"]
    assert clock.of_requests(["r"]) > 0


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, as it is imported
def test_the_second_runner_is_followed() -> None:
    """vLLM's own `EncoderRunner`, which GPUs have, with a model that has nothing to encode."""
    import torch
    from vllm.v1.worker.gpu.mm.encoder_cache import EncoderCache
    from vllm.v1.worker.gpu.mm.encoder_runner import EncoderRunner

    cache = EncoderCache()
    features = [feature("image", "a"), feature("image", "b"), feature("image", "a")]
    cache.mm_features["r"], cache.mm_features["q"] = features[:2], features[2:]
    model: Any = SimpleNamespace()
    encoder = EncoderRunner(model, 8, 4, cache, torch.float32, torch.device("cpu"))
    encoder.execute_mm_encoder = lambda inputs: [None] * len(inputs)  # type: ignore[method-assign]
    runner = SimpleNamespace(
        device=torch.device("cpu"), model_state=SimpleNamespace(encoder_runner=encoder)
    )
    clock = follow_encoder(runner)
    names, inputs = encoder.prepare_mm_inputs({"r": [1], "q": [0]})
    assert names == ["b", "a"]
    assert len(encoder.execute_mm_encoder(inputs)) == 2
    assert sum(clock.report()["image"]["counts"]) == 2
    assert clock.of_requests(["r"]) > 0
    assert clock.of_requests(["q"]) > 0


def test_a_model_without_either_is_left_alone() -> None:
    runner = SimpleNamespace(device=Device())
    assert follow_encoder(runner).report() == {}


def test_another_device_notes_the_times_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="an engine extra brings it")
    stream = Device()

    class Event:
        """As `torch.cuda.Event`: made first, then recorded in the stream."""

        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing
            self.mark: DeviceMark | None = None

        def record(self) -> None:
            self.mark = stream.mark()

        def query(self) -> bool:
            assert self.mark is not None
            return self.mark.query()

        def elapsed_time(self, end: Event) -> float:
            assert self.mark is not None
            assert end.mark is not None
            return self.mark.elapsed_time(end.mark)

    device = SimpleNamespace(type="cuda")
    found = {id(device): SimpleNamespace(Event=Event)}
    monkeypatch.setattr(torch, "get_device_module", lambda asked: found[id(asked)])
    clock = follow_encoder(SimpleNamespace(device=device))
    with clock.batch([("a", "image")]):
        pass
    assert clock.report() == {}
    stream.passed = 2
    assert clock.of_requests(["a"]) == pytest.approx(0.03)
