"""`/docs`: Swagger UI over `/openapi.json`, from the copy that vLLM ships (no outside address)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi.responses import FileResponse

__all__ = ["docs_asset", "docs_page"]

_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sensorium API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({url: "openapi.json", dom_id: "#page", deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout"});
</script>
</body>
</html>
"""


def docs_page() -> str:
    """The HTML of the documentation page."""
    return _PAGE


def docs_asset(name: str) -> FileResponse | None:
    """A file of Swagger UI, or None for any other name."""
    if name not in _ASSETS:
        return None
    spec = find_spec("vllm")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "entrypoints/serve/instrumentator/static" / name
    return FileResponse(path, media_type=_ASSETS[name]) if path.is_file() else None
