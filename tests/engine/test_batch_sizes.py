"""vLLM's defaults for how much runs at once are those of what the engine is for."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.engine

# In a process of its own: the configuration of an engine changes the process's settings.
_PROGRAM = """
from sensorium.model_adapters.catalogue import KNOWN
from sensorium.serving.engine import vllm_engine
from sensorium.serving.engine.arguments import ModelSpec
from vllm.engine.arg_utils import EngineArgs
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.async_llm import AsyncLLM

class Configured(Exception):
    pass

def stop(config, **options):
    scheduler = config.scheduler_config
    raise Configured(scheduler.max_num_seqs, scheduler.max_num_batched_tokens)

AsyncLLM.from_vllm_config = stop
tokens, requests = EngineArgs.get_batch_defaults(1)
for offline, context in ((False, "OPENAI_API_SERVER"), (True, "LLM_CLASS")):
    spec = ModelSpec(("demo",), str(KNOWN["demo"].path()), offline=offline)
    try:
        vllm_engine._start_engine(spec, True, 4 << 30)
    except Configured as found:
        expected = requests[UsageContext[context]], tokens[UsageContext[context]]
        assert found.args == expected, (offline, found.args, expected)
        print(offline, *found.args)
"""


def test_a_server_gets_the_servers_and_a_batch_the_larger() -> None:
    command = [sys.executable, "-P", "-c", _PROGRAM]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    (serving, *online), (batch, *offline) = (
        line.split() for line in done.stdout.splitlines() if line.startswith(("True", "False"))
    )
    assert (serving, batch) == ("False", "True")
    assert all(int(more) > int(less) for more, less in zip(offline, online, strict=True))
