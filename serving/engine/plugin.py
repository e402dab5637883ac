"""The function vLLM calls in each of its processes (entry-point group `vllm.general_plugins`)."""

from __future__ import annotations

import os

__all__ = ["GROUP_VARIABLE", "leave_process_group", "register"]

GROUP_VARIABLE = "SENSORIUM_SERVER_PID"


def register() -> None:
    """Light and harmless when called again, as vLLM asks of its plugins."""
    leave_process_group()
    from sensorium.model_adapters.engine.register import register as register_composed_models

    register_composed_models()


def leave_process_group() -> None:
    """Move an engine's process out of the terminal's group; the server itself stays.

    Ctrl-C must reach the server only, which then lets running requests finish; vLLM's engine would
    stop at once.
    """
    server = os.environ.get(GROUP_VARIABLE)
    if server is not None and server != str(os.getpid()) and os.getpgrp() != os.getpid():
        os.setpgrp()
