"""The models a server offers: what one is, and the table of those that are loading or ready."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from sensorium.serving.errors import BadRequestError, ModelNotFoundError, UnavailableError

__all__ = [
    "CAPABILITY_OF_ROUTE",
    "MODEL_ROUTES",
    "Encoding",
    "ModelSlot",
    "ModelTable",
    "ServedModel",
    "WorkerReport",
]

# Which ability a route needs, named as in the `capabilities` of /v1/models.
CAPABILITY_OF_ROUTE: dict[str, str] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "chat",
    "/v1/embeddings": "embeddings",
    "/v1/audio/transcriptions": "transcription",
    "/v1/audio/translations": "transcription",
}
# Routes answered by a model's vLLM app; everything else vLLM offers is not reachable from outside.
MODEL_ROUTES = frozenset({*CAPABILITY_OF_ROUTE, "/tokenize", "/detokenize"})


@dataclass(frozen=True)
class Encoding:
    """How long media of one type took a model's vision tower or encoder.

    `counts` has how many took up to each of `STAGE_BUCKETS` and longer than the one before, and at
    last those beyond; `seconds` their sum.
    """

    counts: Sequence[int]
    seconds: float


@dataclass(frozen=True)
class WorkerReport:
    """What an engine's first worker tells of itself.

    Of projection kernels the mode, and calls by operator, implementation and reason; and how long
    its tower took, by media type.
    """

    mode: str | None = None
    calls: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    encoding: Mapping[str, Encoding] = field(default_factory=dict)


class ServedModel(Protocol):
    """A model that answers requests: an ASGI app of its own and what the outer app must know.

    `at_once` is how many requests its engine runs together at most; more of them wait.
    `media_limits` maps a modality (`image`, `audio`, `video`) to the most items a prompt may hold;
    a modality that is absent is not taken at all. `stop_texts` end an answer beside the tokenizer's
    end token; chats that set no `stop` get them.
    """

    app: ASGIApp
    at_once: int
    capabilities: frozenset[str]
    media_limits: Mapping[str, int]
    stop_texts: tuple[str, ...]
    max_model_len: int
    root: str
    metrics: CollectorRegistry | None
    engine_version: str
    openapi: Mapping[str, Any]

    def dead(self) -> str | None:
        """Why the engine can no longer answer, or None while it can."""

    async def report(self) -> WorkerReport:
        """What its worker says; of an engine that does not answer, what it said last."""

    async def stop(self) -> None:
        """Abort what is running and free the engine."""


@dataclass
class ModelSlot:
    """A configured model and, once it has loaded, the model itself."""

    names: tuple[str, ...]
    model: ServedModel | None = None
    loading_since: float = field(default_factory=time.monotonic)
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def name(self) -> str:
        """The first of the names it is served under."""
        return self.names[0]


class ModelTable:
    """Looks models up by any of the names they are served under."""

    def __init__(self, slots: Iterable[ModelSlot]) -> None:
        self.slots = list(slots)
        self._by_name: dict[str, ModelSlot] = {}
        for slot in self.slots:
            for name in slot.names:
                if name in self._by_name:
                    raise ValueError(f"two models are named {name!r}; names must differ")
                self._by_name[name] = slot

    def names(self) -> list[str]:
        """Every name, in the order the models were given."""
        return list(self._by_name)

    def ready(self) -> Iterator[tuple[str, ModelSlot, ServedModel]]:
        """Name, slot and model of everything that has loaded."""
        for name, slot in self._by_name.items():
            if slot.model is not None:
                yield name, slot, slot.model

    def all_ready(self) -> bool:
        """Whether every model has loaded and none has died since."""
        return all(slot.model is not None and slot.model.dead() is None for slot in self.slots)

    def find(self, name: object, capability: str | None = None) -> tuple[str, ServedModel]:
        """The loaded model of that name (or, where no name was given, the first able one).

        Raises ModelNotFoundError, UnavailableError while it loads or once it has died, and
        BadRequestError when the model lacks `capability`.
        """
        if name is not None and not isinstance(name, str):
            raise BadRequestError(
                f"`model` must be a string, got {type(name).__name__}; "
                f"this server has: {', '.join(self._by_name)}",
                param="model",
            )
        if name:
            slot = self._by_name.get(name)
            if slot is None:
                raise ModelNotFoundError(
                    f"The model `{name[:200]}` does not exist; "
                    f"this server has: {', '.join(self._by_name)}",
                    param="model",
                )
        else:
            slot = self._default(capability)
        return name or slot.name, self._usable(slot, capability)

    def _default(self, capability: str | None) -> ModelSlot:
        able = (
            slot
            for _, slot, model in self.ready()
            if capability is None or capability in model.capabilities
        )
        return next(able, self.slots[0])

    def _usable(self, slot: ModelSlot, capability: str | None) -> ServedModel:
        model = slot.model
        if model is None:
            waited = time.monotonic() - slot.loading_since
            raise UnavailableError(
                f"The model `{slot.name}` is still loading ({waited:.0f} s so far); "
                "try again in a few seconds",
                code="model_loading",
            )
        if (reason := model.dead()) is not None:
            raise UnavailableError(f"The engine of `{slot.name}` has stopped: {reason}")
        if capability is not None and capability not in model.capabilities:
            able = [n for n, _, m in self.ready() if capability in m.capabilities]
            raise BadRequestError(
                f"The model `{slot.name}` does not do {capability}; it does: "
                f"{', '.join(sorted(model.capabilities))}. "
                + (f"Models here that do: {', '.join(able)}" if able else "No model here does"),
                param="model",
                code="unsupported_model",
            )
        return model
