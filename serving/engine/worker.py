"""What vLLM's workers answer to us besides (vLLM's option `--worker-extension-cls`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensorium.serving.engine.encoder_clock import EncoderClock

__all__ = ["EXTENSION", "WorkerExtension"]

EXTENSION = "sensorium.serving.engine.worker.WorkerExtension"


class WorkerExtension:
    """Mixed into the worker's class by vLLM; reached through `collective_rpc`."""

    _sensorium_clock: EncoderClock | None = None

    def sensorium_report(self) -> dict[str, Any]:
        """What ran so far.

        The `mode` of the projection kernels and their `calls`, as `[operator, implementation,
        reason, count]`, and under `encoding` how long media took, as `EncoderClock.report` has it.
        """
        from sensorium.kernels import runtime

        calls = sorted((*key, count) for key, count in runtime.calls().items())
        clock = self._sensorium_clock
        return {
            "mode": runtime.mode(),
            "calls": [list(call) for call in calls],
            "encoding": clock.report() if clock is not None else {},
        }

    def sensorium_time_encoder(self) -> None:
        """Measure from now on how long the vision tower or encoder takes."""
        from sensorium.serving.engine.encoder_clock import follow_encoder

        self._sensorium_clock = follow_encoder(self.model_runner)  # type: ignore[attr-defined]

    def sensorium_encoded(self, requests: list[str]) -> float:
        """Seconds that the media of these requests took, by vLLM's internal ids."""
        clock = self._sensorium_clock
        return clock.of_requests(requests) if clock is not None else 0.0

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
