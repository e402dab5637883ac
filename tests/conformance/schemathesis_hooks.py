"""What schemathesis cannot know: names of models here, and one sound request for each endpoint.

Loaded by schemathesis itself, through SCHEMATHESIS_HOOKS.
"""

from __future__ import annotations

from typing import Any

import schemathesis

MESSAGES = [{"role": "user", "content": "Hello"}]
EXAMPLES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "demo", "messages": MESSAGES, "max_tokens": 4},
    "/v1/completions": {"model": "demo", "prompt": "Hello", "max_tokens": 4},
    "/v1/responses": {"model": "demo", "input": "Hello", "max_output_tokens": 4},
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": "Hello"},
    "/tokenize": {"model": "demo", "prompt": "Hello"},
    "/detokenize": {"model": "demo", "tokens": [1, 2]},
}
_MODELS = {"Embedding": "text-embedding-3-small", "Trans": "whisper-1"}


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Put the examples and the models' names into the description that was fetched."""
    for name, schema in raw_schema["components"]["schemas"].items():
        if name.endswith("Request") and "model" in schema.get("properties", {}):
            model = next((m for start, m in _MODELS.items() if name.startswith(start)), "demo")
            schema["properties"]["model"] = {"type": "string", "enum": [model]}
            schema["required"] = sorted({*schema.get("required", ()), "model"})
    for path, example in EXAMPLES.items():
        content = raw_schema["paths"][path]["post"]["requestBody"]["content"]
        content["application/json"]["examples"] = {"sound": {"value": example}}
    raw_schema["paths"]["/v1/models/{model}"]["get"]["parameters"][0]["example"] = "demo"
