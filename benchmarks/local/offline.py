"""The engine without HTTP: vLLM's `LLM` given whole batches of chats."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sensorium.benchmarks.workload.settings import WorkloadSettings
from sensorium.benchmarks.workload.wire import DataWire
from sensorium.benchmarks.workload.workload import Workload
from sensorium.serving.errors import UserError

__all__ = ["Batch", "load_engine", "run_batch"]


@dataclass(frozen=True)
class Batch:
    """What a batch took. Media are decoded and processed inside these seconds."""

    requests: int
    seconds: float
    input_tokens: int
    output_tokens: int


def load_engine(model: str, arguments: Sequence[str]) -> Any:
    """vLLM's `LLM`; UserError for arguments it does not take."""
    from vllm import LLM, EngineArgs
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = EngineArgs.add_cli_args(FlexibleArgumentParser())
    try:
        parsed = parser.parse_args(["--model", model, *arguments])
    except SystemExit:
        raise UserError("--engine-args: see the message above; they are vLLM's") from None
    return LLM.from_engine_args(EngineArgs.from_cli_args(parsed))


def run_batch(engine: Any, settings: WorkloadSettings, count: int, round_number: int) -> Batch:
    """Answer `count` requests of the workload at once; each round has requests of its own."""
    from vllm import SamplingParams

    seed = settings.seed + 1_000_003 * round_number
    workload = Workload(replace(settings, seed=seed, stream=False), DataWire())
    chats = [json.loads(workload.request(i).body)["messages"] for i in range(count)]
    sampling = SamplingParams(
        temperature=0, max_tokens=settings.output_tokens, ignore_eos=settings.ignore_eos
    )
    began = time.perf_counter()
    answers = engine.chat(chats, sampling, use_tqdm=False)
    seconds = time.perf_counter() - began
    return Batch(
        requests=count,
        seconds=seconds,
        input_tokens=sum(len(answer.prompt_token_ids) for answer in answers),
        output_tokens=sum(len(answer.outputs[0].token_ids) for answer in answers),
    )
