"""What torch's profiler saw of a batch in vLLM: launches, waits and times by stage.

The stages are marked on the model itself, so that they are the same for vLLM's classes and ours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from operator import attrgetter
from typing import Any

__all__ = ["STAGES", "Stage", "mark_stages", "operators", "summarize"]

# Methods of vLLM's models by stage, whichever a model has. Where vLLM's code picks rows between
# tower and projector (LLaVA), that is part of `media` only.
STAGES = {
    "media": ("embed_multimodal",),
    "tower": ("vision_tower.forward",),
    "projector": ("multi_modal_projector.forward", "visual.merger.forward"),
    "merge": ("embed_input_ids",),
}
_WHOLE = "whole batch"
_MARK = "sensorium stage: "
_DEVICE_WORK = ("kernel", "gpu_memcpy", "gpu_memset")
_HOST_CALLS = ("cuda_runtime", "cuda_driver")
_Span = tuple[float, float]
_Event = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """Of one batch. Microseconds; what only a GPU has is None where there is none.

    `kernels` ran on the device, `launches` are calls of the host (one may start a whole graph), and
    `waits` are calls that keep the host until the device is done.
    """

    calls: int
    host_microseconds: float
    device_microseconds: float | None
    kernels: int | None
    launches: int | None
    waits: int | None


def mark_stages(model: Any) -> list[str]:
    """Make every call of a stage's method show in traces; the stages this model has."""
    found = []
    for stage, methods in STAGES.items():
        for path in methods:
            owner, _, name = path.rpartition(".")
            try:
                part = attrgetter(owner)(model) if owner else model
                method = getattr(part, name)
            except AttributeError:
                continue
            setattr(part, name, _marked(stage, method))
            found.append(stage)
    return found


def _marked(stage: str, method: Callable[..., Any]) -> Callable[..., Any]:
    from torch.profiler import record_function

    @wraps(method)
    def marked(*args: Any, **kwargs: Any) -> Any:
        with record_function(_MARK + stage):
            return method(*args, **kwargs)

    return marked


def summarize(events: Iterable[_Event]) -> dict[str, Stage]:
    """Stages by name, from the `traceEvents` of a Chrome trace written by torch's profiler."""
    whole = [event for event in events if event.get("ph") == "X"]
    host = [event for event in whole if event.get("cat") in _HOST_CALLS]
    device: dict[int, list[_Event]] = {}
    for event in whole:
        if event.get("cat") in _DEVICE_WORK:
            device.setdefault(event["args"].get("correlation", -1), []).append(event)
    found = {
        name: _stage(spans, host, device)
        for name in STAGES
        if (spans := _outermost(whole, _MARK + name))
    }
    begin = min((event["ts"] for event in whole), default=0.0)
    end = max((event["ts"] + event.get("dur", 0) for event in whole), default=0.0)
    threads = {event["tid"] for event in host} or {0}
    return {**found, _WHOLE: _stage({tid: [(begin, end)] for tid in threads}, host, device)}


def operators(events: Iterable[_Event]) -> dict[str, int]:
    """Calls of our own operators by name: none in stock vLLM."""
    names = [event["name"] for event in events if event.get("cat") == "cpu_op"]
    return dict(Counter(name for name in names if name.startswith("sensorium::")))


def _outermost(events: Sequence[_Event], mark: str) -> dict[Any, list[_Span]]:
    """Where a stage ran, by thread; a call of its method inside one is part of it."""
    spans: dict[Any, list[_Span]] = {}
    calls = [e for e in events if e.get("cat") == "user_annotation" and e["name"] == mark]
    for event in sorted(calls, key=lambda call: float(call["ts"])):
        known = spans.setdefault(event["tid"], [])
        if not known or event["ts"] >= known[-1][1]:
            known.append((event["ts"], event["ts"] + event["dur"]))
    return spans


def _stage(
    spans: dict[Any, list[_Span]], host: Sequence[_Event], device: dict[int, list[_Event]]
) -> Stage:
    inside = [event for event in host if _within(event["ts"], spans.get(event["tid"], []))]
    numbers = {event["args"].get("correlation") for event in inside}
    work = [event for number in numbers for event in device.get(number, [])]
    has_device = bool(device)
    # Of the whole batch there is a span for each thread, all alike.
    lasting = {span for several in spans.values() for span in several}
    return Stage(
        calls=len(lasting),
        host_microseconds=sum(end - begin for begin, end in lasting),
        device_microseconds=sum(event["dur"] for event in work) if has_device else None,
        kernels=sum(event["cat"] == "kernel" for event in work) if has_device else None,
        launches=sum("Launch" in event["name"] for event in inside) if has_device else None,
        waits=sum(_waits(event["name"]) for event in inside) if has_device else None,
    )


def _within(moment: float, spans: Sequence[_Span]) -> bool:
    place = bisect_right(spans, (moment, float("inf"))) - 1
    return place >= 0 and moment < spans[place][1]


def _waits(name: str) -> bool:
    return "Synchronize" in name or name in ("cudaMemcpy", "hipMemcpy")
