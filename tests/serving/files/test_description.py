"""/openapi.json says of files and batches what the routes do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from sensorium.serving.testing.fake_model import FakeModel
from tests.serving.files.conftest import CHAT, jsonl, row, server, upload
from tests.serving.files.test_batches_api import create, wait_for


class Description:
    """Checks bodies by the schemas of a description; a property it does not name is a fault."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.paths = document["paths"]
        self._components = {"components": document["components"]}

    def schema(self, path: str, method: str, *, asked: bool = False) -> dict[str, Any]:
        operation = self.paths[path][method]
        place = operation["requestBody"] if asked else operation["responses"]["200"]
        (content,) = place["content"].values()
        found: dict[str, Any] = content["schema"]
        return found

    def validator(self, path: str, method: str, *, asked: bool = False) -> Draft202012Validator:
        schema = self.schema(path, method, asked=asked)
        return Draft202012Validator({**schema, **self._components})

    def check(self, path: str, method: str, body: Any, *, asked: bool = False) -> None:
        self.validator(path, method, asked=asked).validate(body)
        name = self.schema(path, method, asked=asked)["$ref"].rpartition("/")[2]
        assert set(body) <= set(self._components["components"]["schemas"][name]["properties"])


async def read_description(client: httpx.AsyncClient) -> Description:
    return Description((await client.get("/openapi.json")).json())


async def test_every_answer_is_as_described(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel("hello")) as client:
        told = await read_description(client)
        stored = await upload(client, b"x", purpose="vision")
        told.check("/v1/files", "post", stored)
        lasting = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
        told.check("/v1/files", "post", await upload(client, b"x", **lasting))
        told.check("/v1/files", "get", (await client.get("/v1/files?limit=1")).json())
        path = f"/v1/files/{stored['id']}"
        told.check("/v1/files/{file_id}", "get", (await client.get(path)).json())
        told.check("/v1/files/{file_id}", "delete", (await client.delete(path)).json())
        batch = await create(client, jsonl(row("a"), row("b", body={"messages": []})))
        told.check("/v1/batches", "post", batch)
        done = await wait_for(client, batch["id"], "completed")
        told.check("/v1/batches/{batch_id}", "get", done)
        again = (await client.post(f"/v1/batches/{batch['id']}/cancel")).json()
        told.check("/v1/batches/{batch_id}/cancel", "post", again)
        failed = await wait_for(client, (await create(client, b"{\n"))["id"], "failed")
        told.check("/v1/batches/{batch_id}", "get", failed)
        told.check("/v1/batches", "get", (await client.get("/v1/batches")).json())


async def test_what_is_asked_for_is_described(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel()) as client:
        told = await read_description(client)
        body = {
            "input_file_id": "file-1",
            "endpoint": CHAT,
            "completion_window": "24h",
            "metadata": {"a": "b"},
            "output_expires_after": {"anchor": "created_at", "seconds": 3600},
        }
        told.check("/v1/batches", "post", body, asked=True)
        asked = told.validator("/v1/batches", "post", asked=True)
        for change in ({"endpoint": "/v1/nothing"}, {"completion_window": "0h"}):
            assert not asked.is_valid({**body, **change})
        assert set(told.paths["/v1/files"]["post"]["requestBody"]["content"]) == {
            "multipart/form-data"
        }


async def test_no_route_is_left_out(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel()) as client:
        told = await read_description(client)
        ours = {
            (path, method): told.schema(path, method)
            for path, operations in told.paths.items()
            if path.startswith(("/v1/files", "/v1/batches"))
            for method in operations
        }
        assert len(ours) == 9
        undescribed = {"type": "object", "additionalProperties": True}
        for schema in ours.values():
            assert schema
            assert schema.items() & undescribed.items() != undescribed.items()
