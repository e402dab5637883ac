"""Environment variables that must be set before torch or vLLM is imported."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from sensorium.serving.engine.plugin import GROUP_VARIABLE

__all__ = ["prepare_environment"]


def prepare_environment(
    environment: MutableMapping[str, str] = os.environ,
    *,
    cpu: bool,
    eager: bool = True,
    log_level: str = "WARNING",
    whisper: bool = False,
) -> None:
    """Set what the engine needs, leaving alone whatever the user has set.

    Threads that wait by spinning make two engines on two cores many times slower; one process less
    per engine halves the start; vLLM's usage report is not ours to send. `whisper`: a Whisper is
    among the models; its rules for the next token are written for vLLM's first model runner.
    """
    # vLLM warns about its own defaults at every start; warnings meant for us are few.
    engine_level = log_level.upper() if log_level.upper() in {"DEBUG", "INFO"} else "ERROR"
    environment[GROUP_VARIABLE] = str(os.getpid())
    defaults = {
        "VLLM_LOGGING_LEVEL": engine_level,
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_MEDIA_CONNECTOR": "sensorium",
        "TOKENIZERS_PARALLELISM": "false",
        # The repository's folders must not become importable by name in child processes: vLLM
        # starts some with `-m`, which would put the current directory on their path.
        "PYTHONSAFEPATH": "1",
        # Answers that go on in one turn of the event loop, 0.3 ms each. vLLM takes 128.
        "VLLM_V1_OUTPUT_PROC_CHUNK_SIZE": "4",
    }
    if engine_level == "ERROR":
        defaults["TRANSFORMERS_VERBOSITY"] = "error"
    if cpu:
        defaults |= {
            "OMP_WAIT_POLICY": "PASSIVE",
            "GOMP_SPINCOUNT": "0",
            "OMP_NUM_THREADS": str(os.cpu_count() or 1),
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        }
    if cpu and eager:
        # vLLM compiles small parts of its sampler even then: 17 s in the first request that
        # asks for log-probabilities.
        defaults["TORCHDYNAMO_DISABLE"] = "1"
    if whisper and not cpu:
        defaults["VLLM_USE_V2_MODEL_RUNNER"] = "0"
    for name, value in defaults.items():
        environment.setdefault(name, value)
