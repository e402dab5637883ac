"""How long a model's vision tower or audio encoder takes, measured where it runs.

vLLM 0.32 tells it to its offline benchmark only (`--enable-mm-processor-stats`), and has the device
finish before and after each batch to know it. Here a GPU notes the times itself, as events in its
stream that are read once it has passed them, so nothing waits. Both of vLLM's model runners are
followed: around `GPUModelRunner.timed_encoder_operation` (v1/worker/gpu_model_runner.py) and around
`EncoderRunner.execute_mm_encoder` (v1/worker/gpu/mm/encoder_runner.py).
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from sensorium.serving.media.times import STAGE_BUCKETS

__all__ = ["EncoderClock", "Mark", "follow_encoder"]

# Requests whose times are kept until they are asked for, or are no longer among the last.
_REQUESTS = 4096


class Mark(Protocol):
    """A moment on the device's clock, as `torch.cuda.Event` is one."""

    def query(self) -> bool:
        """Whether the device has passed it."""

    def elapsed_time(self, end: Any) -> float:
        """Milliseconds from here to a later one, both passed."""


class _Now:
    """A moment on a processor's clock."""

    def __init__(self) -> None:
        self._at = time.perf_counter()

    def query(self) -> bool:
        """True."""
        return True

    def elapsed_time(self, end: _Now) -> float:
        """Milliseconds."""
        return 1000 * (end._at - self._at)


@dataclass
class _Taken:
    """Observations by bucket (not added up; the last is beyond all bounds), and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(STAGE_BUCKETS) + 1))
    seconds: float = 0.0


class EncoderClock:
    """Seconds of encoding, by media type and by request.

    Media encoded together take equal shares of the time, so that all shares add up to the time the
    device was busy. `mark` makes a moment that the device will pass.
    """

    def __init__(self, mark: Callable[[], Mark]) -> None:
        self._mark = mark
        self._pending: deque[tuple[Mark, Mark, Sequence[tuple[str, str]]]] = deque()
        self._by_media: dict[str, _Taken] = {}
        self._by_request: OrderedDict[str, float] = OrderedDict()

    @contextmanager
    def batch(self, media: Iterable[tuple[str, str]]) -> Iterator[None]:
        """Time what is done within, for these media (request and media type of each)."""
        began = self._mark()
        yield
        self._pending.append((began, self._mark(), tuple(media)))
        self._settle()

    def report(self) -> dict[str, dict[str, Any]]:
        """For each media type how many took up to each bound, and seconds in all."""
        self._settle()
        return {
            media: {"counts": taken.counts, "seconds": taken.seconds}
            for media, taken in self._by_media.items()
        }

    def of_requests(self, requests: Iterable[str]) -> float:
        """Seconds that the media of these took (0.0 where all were known); then they are forgotten.

        Requests go by vLLM's internal ids.
        """
        self._settle()
        return sum(self._by_request.pop(request, 0.0) for request in requests)

    def _settle(self) -> None:
        # A device passes its marks in turn.
        while self._pending and self._pending[0][1].query():
            began, ended, media = self._pending.popleft()
            if media:
                self._add(began.elapsed_time(ended) / 1000 / len(media), media)

    def _add(self, seconds: float, media: Sequence[tuple[str, str]]) -> None:
        for request, kind in media:
            taken = self._by_media.setdefault(kind, _Taken())
            taken.counts[bisect_left(STAGE_BUCKETS, seconds)] += 1
            taken.seconds += seconds
            self._by_request[request] = self._by_request.get(request, 0.0) + seconds
        while len(self._by_request) > _REQUESTS:
            self._by_request.popitem(last=False)


def follow_encoder(runner: Any) -> EncoderClock:
    """Time the encoder of one of vLLM's model runners from now on."""
    clock = EncoderClock(_marks_of(runner.device))
    encoder = getattr(getattr(runner, "model_state", None), "encoder_runner", None)
    if encoder is not None:
        _follow_second(encoder, clock)
    elif hasattr(runner, "timed_encoder_operation"):
        _follow_first(runner, clock)
    return clock


def _marks_of(device: Any) -> Callable[[], Mark]:
    if device.type == "cpu":
        return _Now
    import torch

    module = torch.get_device_module(device)

    def mark() -> Mark:
        event: Mark = module.Event(enable_timing=True)
        event.record()  # type: ignore[attr-defined]
        return event

    return mark


def _follow_first(runner: Any, clock: EncoderClock) -> None:
    theirs = runner.timed_encoder_operation

    def timed(asked: bool, refs: Any, first: int, count: int) -> AbstractContextManager[object]:
        media = [
            (request, _kind(runner.requests[request].mm_features, place))
            for request, place in refs[first : first + count]
        ]
        both = ExitStack()
        both.enter_context(clock.batch(media))
        both.enter_context(theirs(asked, refs, first, count))
        return both

    runner.timed_encoder_operation = timed


def _kind(features: Any, place: object) -> str:
    return next((str(one.modality) for one in features if one.mm_position is place), "any")


def _follow_second(encoder: Any, clock: EncoderClock) -> None:
    prepare, execute = encoder.prepare_mm_inputs, encoder.execute_mm_encoder
    owners: dict[str, str] = {}
    names: list[str] = []

    def prepared(scheduled: dict[str, list[int]]) -> Any:
        features = encoder.encoder_cache.mm_features
        owners.clear()
        for request, items in scheduled.items():
            for item in items:
                owners.setdefault(features[request][item].identifier, request)
        found = prepare(scheduled)
        names[:] = found[0]
        return found

    def executed(inputs: list[tuple[str, Any]]) -> Any:
        media = [(owners[name], kind) for name, (kind, _) in zip(names, inputs, strict=False)]
        with clock.batch(media):
            return execute(inputs)

    encoder.prepare_mm_inputs, encoder.execute_mm_encoder = prepared, executed
