"""The function vLLM calls in each of its processes (entry-point group `vllm.general_plugins`)."""

from __future__ import annotations

import os

__all__ = ["GROUP_VARIABLE", "register"]

GROUP_VARIABLE = "SENSORIUM_SERVER_PID"


def register() -> None:
    """Light and harmless when called again, as vLLM asks of its plugins.

    Engine processes leave the terminal's process group: Ctrl-C must reach the server only, which
    then lets running requests finish; vLLM's engine would stop at once.
    """
    server = os.environ.get(GROUP_VARIABLE)
    if server is not None and server != str(os.getpid()) and os.getpgrp() != os.getpid():
        os.setpgrp()
    from sensorium.model_adapters.engine.register import register as register_composed_models

    register_composed_models()
