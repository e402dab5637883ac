"""`/openapi.json`: our own endpoints and those of the loaded models, in one description."""

from __future__ import annotations

import copy
from typing import Any

from sensorium.serving.models import MODEL_ROUTES, ModelTable

__all__ = ["merged_openapi"]

_URL_ENCODED = "application/x-www-form-urlencoded"
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_NOT_WELL = {
    "description": "Not well, with the reason",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["status"],
                "properties": {"status": {"type": "string"}},
            }
        }
    },
}


def merged_openapi(own: dict[str, Any], models: ModelTable) -> dict[str, Any]:
    """`own` with the paths and schemas of every loaded model's app; errors as we send them."""
    merged = copy.deepcopy(own)
    schemas = merged.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    for _, _, model in models.ready():
        for path, operations in model.openapi.get("paths", {}).items():
            if path in MODEL_ROUTES and path not in merged["paths"]:
                merged["paths"][path] = copy.deepcopy(operations)
        for name, schema in model.openapi.get("components", {}).get("schemas", {}).items():
            schemas.setdefault(name, schema)
    schemas["ErrorResponse"] = _ERROR
    for path, operations in merged["paths"].items():
        for operation in operations.values():
            _describe_errors(operation)
            if path.startswith("/health"):
                operation["responses"]["503"] = _NOT_WELL
            _describe_form(operation)
    return merged


def _describe_form(operation: dict[str, Any]) -> None:
    """Name the encoding of forms that hold a file; FastAPI sees vLLM's model of one and guesses."""
    content = operation.get("requestBody", {}).get("content", {})
    if _URL_ENCODED in content:
        content["multipart/form-data"] = content.pop(_URL_ENCODED)


def _describe_errors(operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    for status in [status for status in responses if not status.startswith("2")]:
        del responses[status]
    reference = {"$ref": "#/components/schemas/ErrorResponse"}
    responses["default"] = {
        "description": "An error, in OpenAI's shape",
        "content": {"application/json": {"schema": reference}},
    }
