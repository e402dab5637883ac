"""Whether a model's projector computes in e4m3: asked for by a folder of media, decided on them.

The media in the folder pass through the model three times: with the projector's layers in float64,
in the model's dtype and in e4m3. This happens at the model's first media, which on a GPU are those
of vLLM's profile run, before memory is shared out and graphs are captured; the server asks for it
before it takes requests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from vllm.config import VllmConfig
from vllm.model_executor.layers.linear import LinearBase

from sensorium.kernels import runtime
from sensorium.kernels.fp8 import (
    FOLDER_VARIABLE,
    OPERATION,
    ErrorSum,
    Fp8Linear,
    InaccurateError,
    check_error,
)
from sensorium.kernels.selection import Choice, KernelUnavailableError, e4m3_obstacle
from sensorium.model_adapters.engine.measured_media import media_batches

__all__ = ["Fp8Projection", "fp8_projection"]


def fp8_projection(vllm_config: VllmConfig) -> Fp8Projection | None:
    """What decides for a model that is being built; None where nobody asked.

    Raises KernelUnavailableError where e4m3 cannot run.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    return Fp8Projection(vllm_config, Path(folder)) if folder else None


class Fp8Projection:
    """The decision for one model, made once."""

    def __init__(self, vllm_config: VllmConfig, folder: Path) -> None:
        self._config, self._folder = vllm_config.model_config, folder
        self._made: dict[str, torch.Tensor] = {}
        self._weights: dict[str, tuple[torch.Tensor, torch.Tensor | None]] = {}
        self._decided = False
        device = runtime.describe_device(torch.device(vllm_config.device_config.device))
        obstacle = e4m3_obstacle(device, str(self._config.dtype), runtime.mode())
        if vllm_config.parallel_config.tensor_parallel_size > 1:
            obstacle = "the model is split over several GPUs"
        if obstacle is not None:
            raise KernelUnavailableError(f"fp8 projection was asked for, but {obstacle}")

    def hold(self, model: Any) -> None:
        """Keep hold of the parameters of a model that is being built: weights may be drawn."""
        self._made = {
            path: layer.weight
            for path, layer in _layers(model)
            if isinstance(getattr(layer, "weight", None), torch.Tensor)
        }

    def remember(self, model: Any) -> None:
        """Keep hold of the weights as they were loaded: vLLM's CPU layers pack theirs and let go.

        Raises KernelUnavailableError for a projector without plain linear layers.
        """
        for path, layer in _layers(model):
            weight = getattr(layer, "weight", None)
            if isinstance(weight, torch.Tensor) and not weight.numel():
                weight = self._made.get(path)  # drawn and packed
            if not isinstance(weight, torch.Tensor) or not weight.is_floating_point():
                raise KernelUnavailableError(
                    f"fp8 projection was asked for, but {path} is quantised already"
                )
            self._weights[path] = (weight.data, getattr(layer, "bias", None))
        if not self._weights:
            raise KernelUnavailableError(
                f"fp8 projection was asked for, but the projector of {type(model).__name__} has no "
                "linear layers that could take it; serve this model without"
            )

    def decide(self, model: Any) -> None:
        """Measure and switch, or stay; the first call only. Says which in the counts and the log.

        Raises ValueError for a folder that holds nothing for this model.
        """
        if self._decided:
            return
        self._decided = True  # what follows embeds media too
        if not self._weights:
            self.remember(model)  # weights that were drawn instead of loaded
        with torch.inference_mode():
            choice = self._measured(model)
        self._weights.clear()
        self._made.clear()
        runtime.count(OPERATION, choice)

    def _measured(self, model: Any) -> Choice:
        pairs = {path: _answers_in_pairs(layer) for path, layer in _layers(model)}
        exact = {path: _Exact(*self._weights[path], pairs[path]) for path in pairs}
        try:
            fast = {
                path: Fp8Linear(*self._weights[path], returns_bias=pairs[path]) for path in pairs
            }
        except ValueError as error:
            return Choice("model's dtype", str(error), fallback=True)
        in_fp8, in_own = ErrorSum(), ErrorSum()
        for batch in media_batches(self._config, self._folder, _device(model)):
            own = _tokens(model, batch)
            with _replaced(model, exact):
                right = _tokens(model, batch)
            with _replaced(model, fast):
                in_fp8.add(_tokens(model, batch), right)
            in_own.add(own, right)
        try:
            said = check_error(in_fp8, in_own, len(fast))
        except InaccurateError as error:
            return Choice("model's dtype", str(error), fallback=True)
        _install(model, fast)
        return Choice("e4m3", said)


class _Exact(nn.Module):
    """The layer in float64, rounded to the dtype of its input."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, returns_bias: bool) -> None:
        super().__init__()
        self.weight, self.bias = nn.Buffer(weight), None if bias is None else nn.Buffer(bias)
        self.returns_bias = returns_bias

    def forward(self, x: torch.Tensor) -> Any:
        bias = None if self.bias is None else self.bias.double()
        out = nn.functional.linear(x.double(), self.weight.double(), bias).to(x.dtype)
        return (out, None) if self.returns_bias else out


def _layers(model: Any) -> Iterator[tuple[str, nn.Module]]:
    """The linear layers between tower and language model, by their paths."""
    for root in model.connectors():
        for name, module in model.get_submodule(root).named_modules():
            if type(module) is nn.Linear or isinstance(module, LinearBase):
                yield f"{root}.{name}" if name else root, module


def _answers_in_pairs(layer: nn.Module) -> bool:
    return bool(isinstance(layer, LinearBase) and layer.return_bias)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _tokens(model: Any, batch: Mapping[str, Any]) -> torch.Tensor:
    return torch.cat([part.flatten(0, -2) for part in model.embed_multimodal(**batch)])


def _install(model: nn.Module, layers: Mapping[str, nn.Module]) -> None:
    for path, layer in layers.items():
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, layer)


@contextmanager
def _replaced(model: nn.Module, layers: Mapping[str, nn.Module]) -> Iterator[None]:
    before = {path: model.get_submodule(path) for path in layers}
    _install(model, layers)
    try:
        yield
    finally:
        _install(model, before)
