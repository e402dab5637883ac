"""What vLLM's workers answer to us besides (vLLM's option `--worker-extension-cls`)."""

from __future__ import annotations

from typing import Any

__all__ = ["EXTENSION", "KernelReport"]

EXTENSION = "sensorium.serving.engine.worker.KernelReport"


class KernelReport:
    """Mixed into the worker's class by vLLM; reached through `collective_rpc`."""

    def sensorium_kernels(self) -> dict[str, Any]:
        """The mode, and calls so far as `[operator, implementation, reason, count]`."""
        from sensorium.kernels import runtime

        calls = sorted((*key, count) for key, count in runtime.calls().items())
        return {"mode": runtime.mode(), "calls": [list(call) for call in calls]}
