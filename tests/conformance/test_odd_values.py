"""Each field of each request in turn with odd values: never a 5xx, never a broken stream.

A random search reaches the depths of the larger requests only now and then; this one goes through
all of them, with the rest of the request in order.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.conformance.live import Conformance, report_counts

VALUES: list[Any] = [
    None,
    True,
    -1,
    10**30,
    "",
    "\ud83d",
    [],
    [10**12],
    {},
    {"type": "json_schema"},
]
MESSAGES = [{"role": "user", "content": "Hello"}]
# path, the schema of its request in our description, a request that is well
REQUESTS = [
    ("/v1/chat/completions", "ChatCompletionRequest", {"messages": MESSAGES, "max_tokens": 2}),
    ("/v1/completions", "CompletionRequest", {"prompt": "Hello", "max_tokens": 2}),
    ("/v1/responses", "ResponsesRequest", {"input": "Hello", "max_output_tokens": 2}),
    (
        "/v1/embeddings",
        "EmbeddingCompletionRequest",
        {"model": "text-embedding-3-small", "input": "Hello"},
    ),
    ("/tokenize", "TokenizeChatRequest", {"messages": MESSAGES}),
    ("/detokenize", "DetokenizeRequest", {"tokens": [1]}),
]
STREAMED = {"/v1/chat/completions", "/v1/completions", "/v1/responses"}


@pytest.fixture(scope="module")
def schemas(conformance: Conformance) -> dict[str, Any]:
    found: dict[str, Any] = conformance.client.get("/openapi.json").json()["components"]["schemas"]
    return found


@pytest.mark.parametrize(("path", "schema", "base"), REQUESTS, ids=[r[0] for r in REQUESTS])
def test_every_field(
    conformance: Conformance, schemas: dict[str, Any], path: str, schema: str, base: dict[str, Any]
) -> None:
    faults, sent = [], 0
    fields = schemas[schema]["properties"]
    for field in fields:
        for value in VALUES:
            body = {"model": "demo", **base, field: value}
            answer = post(conformance.client, path, body)
            sent += 1
            if answer.status_code == 200 and path in STREAMED and field != "stream":
                answer = post(conformance.client, path, {**body, "stream": True})
                sent += 1
            if answer.status_code >= 500 or broken(answer):
                faults.append(f"{field}={value!a}: {answer.status_code} {answer.text[-200:]}")
    assert not faults, "\n".join(faults)
    report_counts(f"odd values to {path}: {sent} requests, {len(fields)} fields, no 5xx")


def post(client: httpx.Client, path: str, body: dict[str, Any]) -> httpx.Response:
    return client.post(path, content=json.dumps(body))


def broken(answer: httpx.Response) -> bool:
    """Whether a stream ended with a fault of the server's."""
    return '"type": "server_error"' in answer.text
