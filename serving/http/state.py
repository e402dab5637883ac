"""What the HTTP side shares: the models, the limits, and whether the server is up or draining."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sensorium.serving.http.auth import KeyRing
from sensorium.serving.http.load import OnlineLoad
from sensorium.serving.http.metrics import HttpMetrics
from sensorium.serving.memory import QuietHeap
from sensorium.serving.models import ModelTable

if TYPE_CHECKING:
    from sensorium.serving.files.service import FileService
    from sensorium.serving.media.pipeline import MediaPipeline

__all__ = ["ServerState"]


@dataclass
class ServerState:
    """State of one server; touched from the event loop only."""

    models: ModelTable
    keys: KeyRing = field(default_factory=lambda: KeyRing(()))
    max_body_bytes: int = 100 << 20
    metrics: HttpMetrics = field(default_factory=HttpMetrics)
    draining: bool = False
    running: set[asyncio.Task[object]] = field(default_factory=set)
    load: OnlineLoad = field(default_factory=OnlineLoad)
    heap: QuietHeap = field(default_factory=QuietHeap)
    files: FileService | None = None
    media: MediaPipeline | None = None

    def ready(self) -> bool:
        """Whether a load balancer should send requests here."""
        return not self.draining and self.models.all_ready()

    async def drained(self) -> None:
        """Return once no request runs any more."""
        while self.running:
            await asyncio.wait(self.running)
