"""`/v1/files`: upload, list, look at, fetch and delete files."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from sensorium.serving.errors import BadRequestError, PayloadTooLargeError, RequestError
from sensorium.serving.files.description import PURPOSES
from sensorium.serving.files.limits import FileLimits
from sensorium.serving.files.store import FileStore, NotFoundError, Page

__all__ = ["add_files", "lifetime_of", "page_as_json", "page_of"]

_FORM_OVERHEAD = 1 << 16
_SHORTEST_LIFE, _LONGEST_LIFE = 3600, 30 * 86_400
_CLIENT_LEFT = 499


def add_files(app: FastAPI, store: FileStore, limits: FileLimits) -> None:
    """Add the routes to the server's own app."""

    @app.post("/v1/files", summary="Upload a file")
    async def create(request: Request) -> Response:
        try:
            return await _upload(request, store, limits)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_LEFT)
        except OSError as error:
            raise _disk_error(error) from error

    @app.get("/v1/files", summary="List files")
    async def list_files(request: Request) -> dict[str, Any]:
        page = page_of(request, default=10_000, most=10_000)
        found = await store.page(page, request.query_params.get("purpose"))
        return page_as_json([file.as_json() for file in found], page)

    @app.get("/v1/files/{file_id}", summary="What is known of a file")
    async def retrieve(file_id: str) -> dict[str, Any]:
        return (await store.get(file_id)).as_json()

    @app.get("/v1/files/{file_id}/content", summary="The content of a file")
    async def content(file_id: str) -> Response:
        await store.get(file_id)
        path = store.path(file_id)
        if path is None:
            raise NotFoundError(f"No such File object: {file_id[:100]}", param="id")
        return FileResponse(path, media_type="application/octet-stream")

    @app.delete("/v1/files/{file_id}", summary="Delete a file")
    async def delete(file_id: str) -> dict[str, Any]:
        await store.delete(file_id)
        return {"id": file_id, "object": "file", "deleted": True}


async def _upload(request: Request, store: FileStore, limits: FileLimits) -> Response:
    most = max(limits.file_bytes, limits.batch_bytes)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most + _FORM_OVERHEAD:
        raise _too_large(int(declared), most)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadRequestError("Send multipart/form-data with a `file` and a `purpose` field")
    capped = Request(request.scope, _capped(request.receive, most + _FORM_OVERHEAD, most))
    try:
        form = await capped.form(max_files=1, max_fields=20)
    except HTTPException as error:
        raise BadRequestError(f"The form cannot be read: {error.detail}") from None
    try:
        file, purpose = form.get("file"), form.get("purpose")
        if not isinstance(file, UploadFile):
            raise BadRequestError("The form has no file in its field `file`", param="file")
        if purpose not in PURPOSES:
            raise BadRequestError(
                f"`purpose` must be one of {', '.join(PURPOSES)}; got {str(purpose)[:60]!r}",
                param="purpose",
            )
        allowed = limits.batch_bytes if purpose == "batch" else limits.file_bytes
        if (file.size or 0) > allowed:
            raise _too_large(file.size or 0, allowed)
        name = (file.filename or "upload")[:255]
        stored = await store.add(file.file, name, str(purpose), _lifetime(form))
    finally:
        await form.close()
    return JSONResponse(stored.as_json())


def _lifetime(form: FormData) -> int | None:
    anchor, seconds = form.get("expires_after[anchor]"), form.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    return lifetime_of({"anchor": anchor, "seconds": seconds}, "expires_after")


def lifetime_of(value: Any, param: str) -> int:
    """The seconds of OpenAI's `{anchor: created_at, seconds: N}`."""
    seconds = value.get("seconds") if isinstance(value, dict) else None
    number = int(str(seconds)) if str(seconds).isdecimal() else -1
    if not isinstance(value, dict) or value.get("anchor") != "created_at":
        raise BadRequestError(
            f'`{param}` must be {{"anchor": "created_at", "seconds": N}}', param=f"{param}.anchor"
        )
    if not _SHORTEST_LIFE <= number <= _LONGEST_LIFE:
        raise BadRequestError(
            f"`{param}.seconds` must be {_SHORTEST_LIFE} to {_LONGEST_LIFE}, got {seconds!r}",
            param=f"{param}.seconds",
        )
    return number


def _capped(receive: Receive, most: int, shown: int) -> Receive:
    """`receive` that stops an upload which is larger than it said, or did not say."""
    taken = 0

    async def receive_capped() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise _too_large(taken, shown)
        return message

    return receive_capped


def _too_large(size: int, most: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"The file has {size:,} bytes or more; this server takes {most:,}", param="file"
    )


def _disk_error(error: OSError) -> RequestError:
    return RequestError(f"The file could not be stored: {error.strerror or error}")


def page_of(request: Request, *, default: int, most: int) -> Page:
    """`limit`, `after` and `order` of a list."""
    query = request.query_params
    limit = query.get("limit", str(default))
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        raise BadRequestError(f"`limit` must be 1 to {most}, got {limit[:20]!r}", param="limit")
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise BadRequestError(f"`order` must be asc or desc, got {order[:20]!r}", param="order")
    return Page(int(limit), query.get("after"), order == "desc")


def page_as_json(entries: list[dict[str, Any]], page: Page) -> dict[str, Any]:
    """A list as OpenAI sends it; `entries` may hold one more than the page."""
    shown = entries[: page.limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(entries) > page.limit,
    }
