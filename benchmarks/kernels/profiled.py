"""Answers batches in an engine without HTTP under torch's profiler; a summary for each, as JSON.

Started by `benchmarks.kernels.servers`, for each kind of server in a process of its own: which
implementation runs is up to the environment.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sensorium.benchmarks.kernels.trace import mark_stages, operators, summarize
from sensorium.benchmarks.workload.mix import Mix
from sensorium.benchmarks.workload.settings import WorkloadSettings

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer one batch to warm up, then the profiled ones."""
    # vLLM passes functions to its workers only if this is set; they come from this process.
    os.environ["VLLM_ALLOW_INSECURE_SERIALIZATION"] = "1"
    # In a process of its own the engine would begin with those requests that arrived first.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    from sensorium.benchmarks.local.offline import load_engine, run_batch

    parser = argparse.ArgumentParser("python -m sensorium.benchmarks.kernels.profiled")
    parser.add_argument("model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    options, engine_arguments = parser.parse_known_args(arguments)
    # One token of output: the stages are those of the prefill.
    images = Mix(((1280, 720),), (1.0,))
    load = WorkloadSettings(options.model, output_tokens=1, ignore_eos=True, images=images)
    summaries = []
    with tempfile.TemporaryDirectory(prefix="sensorium-trace-") as folder:
        # Python frames would make traces a hundred times as large, and the host slow.
        profiler = {
            "profiler": "torch",
            "torch_profiler_dir": folder,
            "torch_profiler_with_stack": False,
            "torch_profiler_dump_cuda_time_total": False,
        }
        engine = load_engine(
            options.model, [*engine_arguments, "--profiler-config", json.dumps(profiler)]
        )
        engine.apply_model(mark_stages)
        run_batch(engine, load, options.requests, 0)
        for number in range(1, options.batches + 1):
            engine.start_profile()
            run_batch(engine, load, options.requests, number)
            engine.stop_profile()
            events = _take_trace(Path(folder))
            stages = {name: asdict(stage) for name, stage in summarize(events).items()}
            summaries.append({"stages": stages, "operators": operators(events)})
        # Else workers do not end, and this process waits for them at its own end.
        engine.llm_engine.engine_core.shutdown()
    options.out.write_text(json.dumps(summaries))


def _take_trace(folder: Path) -> list[dict[str, Any]]:
    """Read the only trace in the folder, and delete it."""
    [path] = folder.glob("*.pt.trace.json.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        events: list[dict[str, Any]] = json.load(file)["traceEvents"]
    path.unlink()
    return events


if __name__ == "__main__":
    main()
