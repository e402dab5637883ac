"""`/v1/batches`: create, look at, list and cancel batches."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI, Request

from sensorium.serving.batch.rows import ENDPOINTS
from sensorium.serving.errors import BadRequestError
from sensorium.serving.files.api import lifetime_of, page_as_json, page_of
from sensorium.serving.files.batch_table import BatchRecord
from sensorium.serving.files.service import FileService
from sensorium.serving.http.body import parse_json, read_body

__all__ = ["add_batches"]

_LARGEST_BODY = 1 << 20
_WINDOW = re.compile(r"([1-9]\d{0,4})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_WINDOW = 30 * 86_400
_MOST_METADATA = 16


def add_batches(app: FastAPI, service: FileService) -> None:
    """Add the routes to the server's own app."""

    @app.post("/v1/batches", summary="Create a batch of requests from an uploaded file")
    async def create(request: Request) -> dict[str, Any]:
        body = parse_json(await read_body(request.receive, request.headers, _LARGEST_BODY))
        record = _record_of(body)
        stored = await service.store.get(record.input_file_id, "input_file_id")
        if stored.purpose != "batch":
            raise BadRequestError(
                f"The input file was uploaded for {stored.purpose!r}; upload it with the purpose "
                "'batch'",
                param="input_file_id",
            )
        await service.create(record)
        return record.as_json()

    @app.get("/v1/batches", summary="List batches")
    async def list_batches(request: Request) -> dict[str, Any]:
        page = page_of(request, default=20, most=100)
        found = await service.table.page(page)
        return page_as_json([record.as_json() for record in found], page)

    @app.get("/v1/batches/{batch_id}", summary="How a batch is doing")
    async def retrieve(batch_id: str) -> dict[str, Any]:
        return (await service.table.get(batch_id)).as_json()

    @app.post("/v1/batches/{batch_id}/cancel", summary="Stop a batch and keep what is finished")
    async def cancel(batch_id: str) -> dict[str, Any]:
        return (await service.cancel(batch_id)).as_json()


def _record_of(body: dict[str, Any]) -> BatchRecord:
    endpoint, file_id = body.get("endpoint"), body.get("input_file_id")
    if endpoint not in ENDPOINTS:
        raise BadRequestError(
            f"`endpoint` must be one of {', '.join(ENDPOINTS)}; got {str(endpoint)[:60]!r}",
            param="endpoint",
        )
    if not isinstance(file_id, str):
        raise BadRequestError("`input_file_id` must be the id of a file", param="input_file_id")
    window = body.get("completion_window")
    lifetime = body.get("output_expires_after")
    return BatchRecord.new(
        _seconds_of(window),
        endpoint=endpoint,
        input_file_id=file_id,
        completion_window=str(window),
        metadata=_metadata_of(body.get("metadata")),
        lifetime=None if lifetime is None else lifetime_of(lifetime, "output_expires_after"),
    )


def _seconds_of(window: object) -> int:
    found = _WINDOW.fullmatch(window) if isinstance(window, str) else None
    seconds = int(found.group(1)) * _SECONDS[found.group(2)] if found else 0
    if not 0 < seconds <= _LONGEST_WINDOW:
        raise BadRequestError(
            f"`completion_window` must be a time of at most 30 days such as 24h; "
            f"got {str(window)[:40]!r}",
            param="completion_window",
        )
    return seconds


def _metadata_of(metadata: object) -> dict[str, str] | None:
    if metadata is None:
        return None
    right = (
        isinstance(metadata, dict)
        and len(metadata) <= _MOST_METADATA
        and all(isinstance(v, str) and len(k) <= 64 and len(v) <= 512 for k, v in metadata.items())
    )
    if not right:
        raise BadRequestError(
            "`metadata` must be an object of at most 16 texts (names up to 64 characters, values "
            "up to 512)",
            param="metadata",
        )
    return dict(metadata) if isinstance(metadata, dict) else None
