"""The function vLLM calls in each of its processes (entry-point group `vllm.general_plugins`)."""

from __future__ import annotations

import os
import signal
import threading
import time

__all__ = ["GROUP_VARIABLE", "follow_parent", "leave_process_group", "register"]

GROUP_VARIABLE = "SENSORIUM_SERVER_PID"
_WATCH = "follow-parent"


def register() -> None:
    """Light and harmless when called again, as vLLM asks of its plugins."""
    if _below_a_server():
        leave_process_group()
        follow_parent()
        from sensorium.serving.engine.cpu_layers import use_cpu_kernels

        use_cpu_kernels()
    from sensorium.model_adapters.engine.register import register as register_composed_models
    from sensorium.model_adapters.whisper.register import register as register_whisper

    register_composed_models()
    register_whisper()


def _below_a_server() -> bool:
    server = os.environ.get(GROUP_VARIABLE)
    return server is not None and server != str(os.getpid())


def leave_process_group() -> None:
    """Move an engine's process out of the terminal's group.

    Ctrl-C must reach the server only, which then lets running requests finish; vLLM's engine would
    stop at once.
    """
    if os.getpgrp() != os.getpid():
        os.setpgrp()


def follow_parent(seconds: float = 2.0) -> None:
    """End this process within `seconds` of its parent's end, however that came about.

    A server that is killed cannot end its engines; they would keep their memory for ever. The
    kernel's own way (`PR_SET_PDEATHSIG`) follows the thread that started the process, which ends.
    """
    if any(thread.name == _WATCH for thread in threading.enumerate()):
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name=_WATCH, daemon=True).start()
