"""Time of one call: the median over graph replays on a GPU, over plain calls on a CPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

__all__ = ["host_microseconds", "microseconds"]

Call = Callable[[Any], Any]


def microseconds(
    call: Call, inputs: Sequence[Any], *, repeats: int = 15, captured: bool = True
) -> float:
    """Median microseconds of a call, rotating through `inputs` so that no cache serves them.

    On a GPU calls are captured into one CUDA graph, so that the gaps between launches, which
    `host_microseconds` reports, do not count; calls that cannot be captured run one after another.
    """
    for x in inputs[:2]:
        call(x)
    if torch.cuda.is_available() and _is_cuda(inputs[0]):
        return _on_gpu(call, inputs, repeats, captured)
    times = []
    for number in range(repeats):
        start = time.perf_counter()
        call(inputs[number % len(inputs)])
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def _is_cuda(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.device.type == "cuda"


def _on_gpu(call: Call, inputs: Sequence[Any], repeats: int, captured: bool) -> float:
    count = max(10, len(inputs))  # one short kernel alone would time the replay itself

    def run() -> list[Any]:
        return [call(inputs[number % len(inputs)]) for number in range(count)]

    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    kept: list[Any] = []  # what a graph writes to must not be given away before it is replayed
    if captured:
        with torch.cuda.graph(graph):
            kept = run()
    replay: Callable[[], Any] = graph.replay if captured else run
    for _ in range(3):
        replay()
    times: list[float] = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e3 / count)
    kept.clear()
    return statistics.median(times)


def host_microseconds(call: Call, x: Any, *, calls: int = 200) -> float:
    """Microseconds the CPU needs to launch a call; on a CPU, those of the call itself."""
    for _ in range(3):
        call(x)
    _wait(x)
    start = time.perf_counter()
    for _ in range(calls):
        call(x)
    spent = time.perf_counter() - start
    _wait(x)
    return spent / calls * 1e6


def _wait(x: Any) -> None:
    if _is_cuda(x):
        torch.cuda.synchronize()
