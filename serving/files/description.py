"""The routes of files and batches in /openapi.json: what they take and what they answer.

The routes read their bodies themselves (an upload is a stream, a batch is checked by hand), so
FastAPI cannot know. Shapes are OpenAI's (github.com/openai/openai-openapi, `OpenAIFile`, `Batch`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sensorium.serving.batch.rows import ENDPOINTS

__all__ = ["PURPOSES", "with_files"]

PURPOSES = ("batch", "vision", "user_data", "assistants")
_STATUSES = (
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
)
_TEXT = {"type": "string"}
_INTEGER = {"type": "integer"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_TIME_OR_NULL = {"type": ["integer", "null"], "description": "Unix time, seconds"}
_METADATA = {
    "type": ["object", "null"],
    "maxProperties": 16,
    "additionalProperties": {"type": "string", "maxLength": 512},
}
_LIFE_SECONDS = {"type": "integer", "minimum": 3600, "maximum": 2_592_000}
_LIFETIME = {
    "type": "object",
    "required": ["anchor", "seconds"],
    "properties": {
        "anchor": {"type": "string", "enum": ["created_at"]},
        "seconds": _LIFE_SECONDS,
    },
}


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _list_of(name: str) -> dict[str, Any]:
    return _object(
        {
            "object": {"type": "string", "enum": ["list"]},
            "data": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}},
            "first_id": _TEXT_OR_NULL,
            "last_id": _TEXT_OR_NULL,
            "has_more": {"type": "boolean"},
        }
    )


_FILE = _object(
    {
        "id": _TEXT,
        "object": {"type": "string", "enum": ["file"]},
        "bytes": _INTEGER,
        "created_at": _INTEGER,
        "filename": _TEXT,
        "purpose": {"type": "string", "enum": [*PURPOSES, "batch_output"]},
        "status": {"type": "string", "enum": ["processed"]},
        "expires_at": _INTEGER,
    },
    optional=("expires_at",),
)
_DELETED = _object(
    {
        "id": _TEXT,
        "object": {"type": "string", "enum": ["file"]},
        "deleted": {"type": "boolean"},
    }
)
_BATCH_ERROR = _object(
    {
        "code": _TEXT,
        "message": _TEXT,
        "param": _TEXT_OR_NULL,
        "line": {"type": ["integer", "null"]},
    },
    optional=("param", "line"),
)
_BATCH = _object(
    {
        "id": _TEXT,
        "object": {"type": "string", "enum": ["batch"]},
        "endpoint": {"type": "string", "enum": list(ENDPOINTS)},
        "model": _TEXT_OR_NULL,
        "errors": {
            "type": ["object", "null"],
            "required": ["object", "data"],
            "properties": {
                "object": {"type": "string", "enum": ["list"]},
                "data": {"type": "array", "items": _BATCH_ERROR},
            },
        },
        "input_file_id": _TEXT,
        "completion_window": _TEXT,
        "status": {"type": "string", "enum": list(_STATUSES)},
        "output_file_id": _TEXT_OR_NULL,
        "error_file_id": _TEXT_OR_NULL,
        "created_at": _INTEGER,
        "expires_at": _INTEGER,
        "in_progress_at": _TIME_OR_NULL,
        "finalizing_at": _TIME_OR_NULL,
        "completed_at": _TIME_OR_NULL,
        "failed_at": _TIME_OR_NULL,
        "expired_at": _TIME_OR_NULL,
        "cancelling_at": _TIME_OR_NULL,
        "cancelled_at": _TIME_OR_NULL,
        "request_counts": _object({"total": _INTEGER, "completed": _INTEGER, "failed": _INTEGER}),
        "metadata": _METADATA,
    }
)
_NEW_FILE = _object(
    {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
        "expires_after[seconds]": _LIFE_SECONDS,
    },
    optional=("expires_after[anchor]", "expires_after[seconds]"),
)
_NEW_BATCH = _object(
    {
        "input_file_id": {"type": "string", "description": "A file of the purpose `batch`"},
        "endpoint": {"type": "string", "enum": list(ENDPOINTS)},
        "completion_window": {
            "type": "string",
            "pattern": "^[1-9][0-9]{0,4}[smhd]$",
            "description": "Up to 30 days, such as 90m, 24h or 7d",
        },
        "metadata": _METADATA,
        "output_expires_after": _LIFETIME,
    },
    optional=("metadata", "output_expires_after"),
)
_SCHEMAS = {
    "File": _FILE,
    "FileList": _list_of("File"),
    "DeletedFile": _DELETED,
    "Batch": _BATCH,
    "BatchList": _list_of("Batch"),
    "NewFile": _NEW_FILE,
    "NewBatch": _NEW_BATCH,
}
_ANSWERS = {
    ("/v1/files", "post"): "File",
    ("/v1/files", "get"): "FileList",
    ("/v1/files/{file_id}", "get"): "File",
    ("/v1/files/{file_id}", "delete"): "DeletedFile",
    ("/v1/batches", "post"): "Batch",
    ("/v1/batches", "get"): "BatchList",
    ("/v1/batches/{batch_id}", "get"): "Batch",
    ("/v1/batches/{batch_id}/cancel", "post"): "Batch",
}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _page(most: int, default: int) -> list[dict[str, Any]]:
    limit = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    order = {"type": "string", "enum": ["asc", "desc"], "default": "desc"}
    return [_query("limit", limit), _query("order", order), _query("after", _TEXT)]


def with_files(description: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the server's OpenAPI description in which these routes are described whole."""
    out = copy.deepcopy(dict(description))
    out.setdefault("components", {}).setdefault("schemas", {}).update(copy.deepcopy(_SCHEMAS))
    paths = out["paths"]
    for (path, method), name in _ANSWERS.items():
        found = paths[path][method]["responses"]["200"]
        found["content"] = {"application/json": _reference(name)}
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = paths["/v1/files/{file_id}/content"]["get"]["responses"]["200"]
    content["content"] = {"application/octet-stream": binary}
    upload, create = paths["/v1/files"], paths["/v1/batches"]
    upload["post"]["requestBody"] = _body("multipart/form-data", "NewFile")
    create["post"]["requestBody"] = _body("application/json", "NewBatch")
    upload["get"]["parameters"] = [*_page(10_000, 10_000), _query("purpose", _TEXT)]
    create["get"]["parameters"] = _page(100, 20)
    return out


def _reference(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def _body(media_type: str, name: str) -> dict[str, Any]:
    return {"required": True, "content": {media_type: _reference(name)}}
