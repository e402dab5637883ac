from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from sensorium.serving.testing.fake_model import FakeModel
from tests.kit.media import circle, image_bytes
from tests.serving.files.conftest import CHAT, server, upload

PICTURE = image_bytes(circle(size=(8, 8)))


async def test_a_file_is_stored_listed_read_and_deleted(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel()) as client:
        stored = await upload(client, b"content", purpose="user_data", filename="a.txt")
        assert stored == {
            "id": stored["id"],
            "object": "file",
            "bytes": 7,
            "created_at": stored["created_at"],
            "filename": "a.txt",
            "purpose": "user_data",
            "status": "processed",
        }
        path = f"/v1/files/{stored['id']}"
        assert (await client.get(path)).json() == stored
        assert (await client.get(f"{path}/content")).content == b"content"
        assert (await client.get("/v1/files")).json()["data"] == [stored]
        deleted = (await client.delete(path)).json()
        assert deleted == {"id": stored["id"], "object": "file", "deleted": True}
        for answer in (await client.get(path), await client.get(f"{path}/content")):
            assert answer.status_code == 404
            assert answer.json()["error"]["message"] == f"No such File object: {stored['id']}"
    assert list((tmp_path / "files").iterdir()) == []


async def test_files_survive_the_server(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel()) as client:
        stored = await upload(client, b"content", purpose="vision")
    async with server(tmp_path, FakeModel()) as client:
        assert (await client.get(f"/v1/files/{stored['id']}/content")).content == b"content"


async def test_lists_come_in_pages(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel()) as client:
        ids = [(await upload(client, b"x", filename=str(n)))["id"] for n in range(5)]
        await upload(client, b"x", purpose="vision")
        first = (await client.get("/v1/files?purpose=batch&limit=2&order=asc")).json()
        assert [file["id"] for file in first["data"]] == ids[:2]
        assert first["has_more"] is True
        rest = await client.get(
            f"/v1/files?purpose=batch&limit=9&order=asc&after={first['last_id']}"
        )
        assert [file["id"] for file in rest.json()["data"]] == ids[2:]
        assert rest.json()["has_more"] is False
        newest = (await client.get("/v1/files?limit=1&purpose=batch")).json()["data"]
        assert newest[0]["id"] == ids[-1]
        for query in ("limit=0", "limit=x", "order=up"):
            assert (await client.get(f"/v1/files?{query}")).status_code == 400


async def test_a_file_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(tmp_path, FakeModel(), start=False) as client:
        lifetime = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
        stored = await upload(client, b"x", **lifetime)
        assert stored["expires_at"] == stored["created_at"] + 3600
        monkeypatch.setattr("time.time", lambda: stored["expires_at"] + 1)
        assert (await client.get(f"/v1/files/{stored['id']}")).status_code == 404
        assert (await client.get("/v1/files")).json()["data"] == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "nonsense"}, "purpose"),
        ({"expires_after[anchor]": "now"}, "expires_after.anchor"),
        (
            {"expires_after[anchor]": "created_at", "expires_after[seconds]": "5"},
            "expires_after.seconds",
        ),
    ],
)
async def test_wrong_fields_are_named(tmp_path: Path, fields: dict[str, str], param: str) -> None:
    async with server(tmp_path, FakeModel()) as client:
        answer = await client.post(
            "/v1/files", data={"purpose": "batch", **fields}, files={"file": ("a", b"x")}
        )
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert list((tmp_path / "files").iterdir()) == []


async def test_what_is_no_upload_is_400(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel()) as client:
        answers = [
            await client.post("/v1/files", json={}),
            await client.post("/v1/files", data={"purpose": "batch"}),
            await client.post(
                "/v1/files",
                content=b"nonsense",
                headers={"content-type": "multipart/form-data; boundary=x"},
            ),
            await client.post(
                "/v1/files", content=b"x", headers={"content-type": "multipart/form-data"}
            ),
        ]
    assert [answer.status_code for answer in answers] == [400] * 4


async def test_too_large_a_file_is_413(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel(), file_bytes=1 << 20, batch_bytes=100) as client:
        for purpose, size in (("batch", 101), ("vision", 2 << 20)):
            answer = await client.post(
                "/v1/files", data={"purpose": purpose}, files={"file": ("a", b"x" * size)}
            )
            assert answer.status_code == 413
    assert list((tmp_path / "files").iterdir()) == []


async def test_files_need_the_key(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel(), keys=("k",)) as client:
        assert (await client.get("/v1/files")).status_code == 200
        answer = await client.get("/v1/files", headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "part",
    [
        lambda i: {"type": "file", "file": {"file_id": i}},
        lambda i: {"type": "image_url", "image_url": {"file_id": i}},
        lambda i: {"type": "input_image", "file_id": i},
    ],
)
async def test_a_file_id_is_a_part_of_a_chat(tmp_path: Path, part: object) -> None:
    model = FakeModel(media_limits={"image": 1})
    async with server(tmp_path, model) as client:
        stored = await upload(client, PICTURE, purpose="vision", filename="a.png")
        assert callable(part)
        content = [part(stored["id"])]
        body = {"model": "eyes", "messages": [{"role": "user", "content": content}]}
        answer = await client.post(CHAT, json=body)
        assert answer.status_code == 200, answer.text
        sent = json.loads(model.received[-1])["messages"][0]["content"][0]
        url = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
        assert sent == {"type": "image_url", "image_url": {"url": url}}


async def test_an_unknown_file_id_names_its_part(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel(media_limits={"image": 1})) as client:
        content = [{"type": "text", "text": "x"}, {"type": "file", "file": {"file_id": "file-x"}}]
        body = {"model": "eyes", "messages": [{"role": "user", "content": content}]}
        error = (await client.post(CHAT, json=body)).json()["error"]
        assert error["param"] == "messages.0.content.1.file.file_id"
        assert error["message"] == "No such File object: file-x"
