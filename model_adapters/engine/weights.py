"""Strict loading: each tensor of a checkpoint is used or knowingly dropped, no parameter empty.

vLLM's own check leaves every linear layer out and sees a stacked parameter as loaded once one of
its shards is, so a lost `k_proj` or a misnamed projector would be served as noise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import nn
from vllm.logger import init_logger
from vllm.model_executor.models.utils import AutoWeightsLoader, is_pp_missing_parameter

from sensorium.model_adapters.engine.expected import Shape, expected_tensors
from sensorium.model_adapters.engine.translator import Translator
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.weight_names import DROPPED, Placement

__all__ = ["SourcedName", "load_strictly"]

# Below vLLM's name, so that its logging options apply.
logger = init_logger("vllm.sensorium.weights")
_SHOWN = 8


@dataclass(frozen=True)
class SourcedName:
    """A tensor's name in its file, the file, and where it goes (None: nowhere that is known)."""

    name: str
    file: str
    placement: Placement | None


@dataclass
class _Progress:
    current: SourcedName | None = None
    seen: dict[str, SourcedName] = field(default_factory=dict)
    unexpected: list[SourcedName] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def load_strictly(
    model: nn.Module,
    weights: Iterable[tuple[str, torch.Tensor]],
    locate: Callable[[str], SourcedName],
    original: Callable[[str], str],
    translator: Translator,
) -> set[str]:
    """Load `weights` and return the names of the parameters that were filled.

    `locate` says for each name where it comes from and goes, `original` how the checkpoint names
    what goes to a parameter, `translator` turns the tensors of a language model that has names of
    its own into the model's. Raises CheckpointError, naming file and the checkpoint's tensor, for
    tensors nobody takes, that are absent, that have another shape than the model's, or that hold
    NaN or infinity.
    """
    progress = _Progress()
    placed = _placed(model, weights, locate, translator, progress)
    try:
        loaded: set[str] = AutoWeightsLoader(model).load_weights(placed)
    except CheckpointError:
        raise
    except (AssertionError, RuntimeError, ValueError, KeyError, OSError, EOFError) as error:
        at = progress.current
        where = "the weights" if at is None else f"{at.file}, at or after tensor {at.name!r}"
        raise CheckpointError(f"{where}: cannot be loaded: {error}") from error
    _report(model, progress, lambda name: original(translator.original(name)))
    for reason, count in progress.dropped.items():
        logger.info("%d tensors of the checkpoint are left out: %s", count, reason)
    return loaded


def _placed(
    model: nn.Module,
    weights: Iterable[tuple[str, torch.Tensor]],
    locate: Callable[[str], SourcedName],
    translator: Translator,
    progress: _Progress,
) -> Iterator[tuple[str, torch.Tensor]]:
    allowed = expected_tensors(model, aliases=True)
    for name, tensor in weights:
        sourced = locate(name)
        progress.current = sourced
        targets = _targets(sourced, translator, progress)
        if any(target in progress.seen for target in targets):
            continue  # trainers write the projector a second time
        targets = tuple(name for name in targets if not is_pp_missing_parameter(name, model))
        if not targets:
            continue
        if any(target not in allowed for target in targets):
            progress.unexpected.append(sourced)
            continue
        shapes = [allowed[target] for target in targets]
        _check_shape(sourced, tuple(tensor.shape), translator.whole_shape(shapes))
        _check_finite(sourced, tensor)
        progress.seen.update(dict.fromkeys(targets, sourced))
        yield from translator.translate(tensor, targets, shapes)


def _targets(sourced: SourcedName, translator: Translator, progress: _Progress) -> tuple[str, ...]:
    """Where a tensor goes; none, and a note of why, for one that is not taken."""
    if sourced.placement is None:
        progress.unexpected.append(sourced)
        return ()
    if sourced.placement.target == DROPPED:
        progress.dropped[sourced.placement.reason] += 1
        return ()
    targets = translator.targets(sourced.placement.target)
    if not targets:
        progress.dropped["computed anew"] += 1
    return targets


def _check_shape(sourced: SourcedName, got: tuple[int, ...], wanted: Shape) -> None:
    if wanted is not None and got != wanted:
        raise CheckpointError(
            f"{sourced.file}: tensor {sourced.name!r} has shape {list(got)}; "
            f"the model that the config describes takes {list(wanted)}"
        )


def _check_finite(sourced: SourcedName, tensor: torch.Tensor) -> None:
    # A sum is spoilt by a single NaN or infinity and needs no memory; an overflow is looked into.
    if not tensor.is_floating_point() or torch.isfinite(tensor.sum(dtype=torch.float32)):
        return
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise CheckpointError(
            f"{sourced.file}: tensor {sourced.name!r} holds {bad} values that are NaN or infinite"
        )


def _report(model: nn.Module, progress: _Progress, original: Callable[[str], str]) -> None:
    required = expected_tensors(model, aliases=False)
    missing = sorted({original(name) for name in required if name not in progress.seen})
    problems = []
    if missing:
        problems.append(f"{len(missing)} tensors that the model needs are absent: {_some(missing)}")
    if progress.unexpected:
        names = [f"{item.name} ({item.file})" for item in progress.unexpected]
        problems.append(f"{len(names)} tensors fit nowhere: {_some(names)}")
    if problems:
        raise CheckpointError("the checkpoint does not fit its config: " + "; ".join(problems))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
