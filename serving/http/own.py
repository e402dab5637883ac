"""Endpoints the outer app answers itself: models, files, batches, health, documentation."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from sensorium import __version__
from sensorium.serving.errors import (
    ModelNotFoundError,
    RequestError,
    UnknownRouteError,
    WrongMethodError,
)
from sensorium.serving.files.api import add_files
from sensorium.serving.files.batch_api import add_batches
from sensorium.serving.files.description import with_files
from sensorium.serving.http.docs_page import docs_asset, docs_page
from sensorium.serving.http.metrics import exposition
from sensorium.serving.http.openapi import merged_openapi
from sensorium.serving.http.state import ServerState
from sensorium.serving.http.worker_metrics import summary, worker_registry, worker_reports
from sensorium.serving.models import ModelSlot, ServedModel

__all__ = ["build_own_app"]


def build_own_app(state: ServerState) -> FastAPI:
    """A FastAPI app with every endpoint that needs no model."""
    app = FastAPI(title="Sensorium", version=__version__, docs_url=None, redoc_url=None)
    app.add_exception_handler(RequestError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    _add_models(app, state)
    _add_health(app, state)
    if state.files is not None:
        add_files(app, state.files.store, state.files.limits)
        add_batches(app, state.files)
    _add_documentation(app, state)
    return app


async def _answer_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestError):
        raise error
    return JSONResponse(error.body(), error.status, headers=error.headers)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    method, path = request.method, request.url.path
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        return await _answer_error(request, WrongMethodError(path, method, allowed))
    unknown = UnknownRouteError(f"Unknown request URL: {method} {path}; see /docs")
    return JSONResponse(unknown.body(), error.status_code)


def _model_entry(name: str, slot: ModelSlot, model: ServedModel) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": slot.created,
        "owned_by": "sensorium",
        "root": model.root,
        "max_model_len": model.max_model_len,
        "capabilities": sorted(model.capabilities),
        "media_limits": dict(model.media_limits),
    }


def _add_models(app: FastAPI, state: ServerState) -> None:
    @app.get("/v1/models", summary="List the models that are ready")
    async def list_models() -> dict[str, Any]:
        entries = [_model_entry(*found) for found in state.models.ready()]
        return {"object": "list", "data": entries}

    # `:path` because a model's name may hold slashes, as hub ids do.
    @app.get("/v1/models/{model:path}", summary="One model")
    async def retrieve_model(model: str) -> dict[str, Any]:
        for found in state.models.ready():
            if found[0] == model:
                return _model_entry(*found)
        known = ", ".join(state.models.names())
        raise ModelNotFoundError(
            f"The model `{model[:200]}` does not exist or has not loaded; this server has: {known}",
            param="model",
        )


def _add_health(app: FastAPI, state: ServerState) -> None:
    def answer(healthy: bool, reason: str) -> Response:
        body = {"status": "ok" if healthy else reason}
        return JSONResponse(body, 200 if healthy else 503)

    @app.get("/health/live", summary="Is the process worth keeping?")
    async def live() -> Response:
        dead = [slot.name for slot in state.models.slots if slot.model and slot.model.dead()]
        return answer(not dead, f"engine stopped: {', '.join(dead)}")

    @app.get("/health/ready", summary="Should requests be sent here?")
    @app.get("/health", summary="As /health/ready")
    async def ready() -> Response:
        loading = [slot.name for slot in state.models.slots if slot.model is None]
        reason = "draining" if state.draining else "loading: " + ", ".join(loading)
        if not loading and not state.draining:
            reason = "an engine has stopped"
        return answer(state.ready(), reason)

    @app.get(
        "/metrics",
        summary="Prometheus metrics of the server and of every engine",
        response_class=PlainTextResponse,
    )
    async def metrics() -> Response:
        state.metrics.ready.set(state.ready())
        registries = [state.metrics.registry]
        if state.files is not None:
            registries.append(state.files.metrics.registry)
        if state.media is not None:
            registries.append(state.media.measures.registry)
        registries.append(worker_registry(await worker_reports(state.models)))
        for slot in state.models.slots:
            if slot.model is not None and slot.model.metrics is not None:
                registries.append(slot.model.metrics)
        return PlainTextResponse(await exposition(registries), media_type=CONTENT_TYPE_LATEST)

    @app.get("/version", summary="Versions of the server and its engine")
    async def version() -> dict[str, Any]:
        engines = {s.model.engine_version for s in state.models.slots if s.model is not None}
        uses = await worker_reports(state.models)
        return {
            "version": __version__,
            "vllm": next(iter(engines), None),
            "projection_kernels": {
                "mode": next((use.mode for use in uses.values() if use.mode), None),
                "models": summary(uses),
            },
        }


def _add_documentation(app: FastAPI, state: ServerState) -> None:
    own_openapi = app.openapi

    def described() -> dict[str, Any]:
        own = own_openapi() if state.files is None else with_files(own_openapi())
        return merged_openapi(own, state.models)

    app.openapi = described  # type: ignore[method-assign]

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(docs_page())

    @app.get("/docs/{asset}", include_in_schema=False)
    async def asset(asset: str) -> Response:
        found = docs_asset(asset)
        if found is None:
            raise UnknownRouteError(f"Unknown request URL: GET /docs/{asset}")
        return found
