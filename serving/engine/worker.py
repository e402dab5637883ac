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

    def sensorium_decide_fp8(self) -> None:
        """Decide now, before requests come, whether media are projected in e4m3.

        Raises ValueError for media that cannot be measured on. The report tells the decision.
        """
        from sensorium.kernels import runtime
        from sensorium.kernels.fp8 import OPERATION
        from sensorium.kernels.selection import Choice

        model = self.model_runner.get_model()  # type: ignore[attr-defined]
        decision = getattr(model, "fp8", None)
        if decision is not None:
            decision.decide(model)
        else:
            why = "its projector is not one of ours"
            runtime.count(OPERATION, Choice("model's dtype", why, fallback=True))
