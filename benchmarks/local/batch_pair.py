"""One file of rows through `sensorium batch` and through vLLM's `run-batch`, each a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sensorium.benchmarks.compare.servers import Side, machine_environment, process_environment
from sensorium.benchmarks.measure.processes import cpu_seconds, whole_memory
from sensorium.benchmarks.workload.photos import draw_photo, encode_photo
from sensorium.benchmarks.workload.words import make_text
from sensorium.serving.errors import EngineStartError, UserError

__all__ = ["BatchRun", "batch_side", "run_once", "write_rows"]

_POLL_SECONDS = 0.1
# Looks at memory, which take longer: once a second, first when the process has begun.
_MEMORY_EVERY = 10
_MEMORY_FIRST = 3
_TAIL = 2000


@dataclass(frozen=True)
class BatchRun:
    """What a run took: seconds from the start of the process, the most memory it held.

    `first_row_seconds` is when the output held its first line, `rows` how many were answered.
    """

    side: str
    rows: int
    seconds: float
    first_row_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int

    def figures(self) -> dict[str, object]:
        """JSON-able."""
        return asdict(self)


def write_rows(
    path: Path, rows: int, pictures: int, *, size: tuple[int, int], tokens: int, seed: int = 0
) -> None:
    """Write a file in OpenAI's batch format: each row asks about one of so many pictures."""
    from base64 import b64encode

    files = [encode_photo(draw_photo(size, f"{seed}/{n}"), "jpeg") for n in range(pictures)]
    urls = [f"data:{f.media_type};base64,{b64encode(f.content).decode('ascii')}" for f in files]
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            text = {"type": "text", "text": make_text(12, f"{seed}/text/{number}")}
            content: list[object] = [text]
            if urls:
                url = urls[number % len(urls)]
                content.insert(0, {"type": "image_url", "image_url": {"url": url}})
            body = {
                "model": "bench",
                "messages": [{"role": "user", "content": content}],
                "max_tokens": tokens,
                "temperature": 0,
            }
            row = {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions"}
            file.write(json.dumps({**row, "body": body}) + "\n")


def batch_side(kind: str, source: str, arguments: Sequence[str]) -> Side:
    """How `sensorium` or `vllm` runs `{input}` into `{output}`; UserError for another name."""
    environment = machine_environment(spare=0)
    if kind == "sensorium":
        start = ["-m", "sensorium.serving", "batch", "{input}", "{output}", "--quiet"]
    elif kind == "vllm":
        start = ["-m", "vllm.entrypoints.openai.run_batch", "-i", "{input}", "-o", "{output}"]
        start += ["--served-model-name", "bench"]
        environment |= {"VLLM_PLUGINS": "", "VLLM_LOGGING_LEVEL": "ERROR"}
    else:
        raise UserError(f"no such side: {kind}; sensorium and vllm are known")
    command = (sys.executable, "-P", *start, "--model", source, *arguments)
    return Side(kind, command, environment)


def run_once(side: Side, rows: Path, folder: Path) -> BatchRun:
    """Run the file once; raises EngineStartError with the end of the output when it fails."""
    output, log = folder / "out.jsonl", folder / "log"
    for old in folder.glob("out.jsonl*"):
        old.unlink()
    command = [
        part.replace("{input}", str(rows)).replace("{output}", str(output)) for part in side.command
    ]
    with log.open("wb") as told:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            stdout=told,
            stderr=told,
            env=process_environment(side, folder),
            start_new_session=True,
        )
        try:
            first, cpu, memory = _watch(process, output, began)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    took = time.monotonic() - began
    if process.returncode:
        raise EngineStartError(f"{side.name} ended with {process.returncode}:\n{_end_of(log)}")
    return BatchRun(side.name, _answered(output), took, first or took, cpu, memory)


def _answered(output: Path) -> int:
    with output.open(encoding="utf-8") as lines:
        answers = (json.loads(line).get("response") or {} for line in lines)
        return sum(answer.get("status_code") == 200 for answer in answers)


def _watch(
    process: subprocess.Popen[bytes], output: Path, began: float
) -> tuple[float | None, float, int]:
    """Until it ends: when the first row was there, the CPU seconds of all, the most memory."""
    first, used, memory, turns = None, dict[int, float](), 0, 0
    while process.poll() is None:
        if first is None and output.exists() and output.stat().st_size:
            first = time.monotonic() - began
        if turns % _MEMORY_EVERY == _MEMORY_FIRST:
            memory = max(memory, whole_memory(process.pid))
        used |= cpu_seconds(process.pid)
        turns += 1
        time.sleep(_POLL_SECONDS)
    return first, sum(used.values()), memory


def _end_of(log: Path) -> str:
    return log.read_bytes()[-_TAIL:].decode("utf-8", "replace")
