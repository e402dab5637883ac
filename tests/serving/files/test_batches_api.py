from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from sensorium.serving.testing.fake_model import FakeModel
from tests.serving.files.conftest import CHAT, jsonl, row, server, upload


async def create(client: httpx.AsyncClient, content: bytes, **more: Any) -> dict[str, Any]:
    stored = await upload(client, content)
    body = {"input_file_id": stored["id"], "endpoint": CHAT, "completion_window": "24h", **more}
    answer = await client.post("/v1/batches", json=body)
    assert answer.status_code == 200, answer.text
    batch: dict[str, Any] = answer.json()
    assert batch["status"] == "validating"
    return batch


async def wait_for(client: httpx.AsyncClient, batch_id: str, *statuses: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            batch: dict[str, Any] = (await client.get(f"/v1/batches/{batch_id}")).json()
            if batch["status"] in statuses:
                return batch
            await asyncio.sleep(0.01)


async def lines_of(client: httpx.AsyncClient, file_id: str) -> list[Any]:
    content = (await client.get(f"/v1/files/{file_id}/content")).text
    return [json.loads(line) for line in content.splitlines()]


async def test_a_batch_is_answered(tmp_path: Path) -> None:
    model = FakeModel("hello")
    async with server(tmp_path, model, keys=("secret",)) as client:
        content = jsonl(*(row(f"c{n}") for n in range(20)), row("bad", body={"messages": []}))
        batch = await create(client, content, metadata={"a": "b"})
        done = await wait_for(client, batch["id"], "completed")
        assert done["request_counts"] == {"total": 21, "completed": 20, "failed": 1}
        assert done["metadata"] == {"a": "b"}
        assert done["expires_at"] == done["created_at"] + 86_400
        assert done["in_progress_at"] <= done["finalizing_at"] <= done["completed_at"]
        answers = await lines_of(client, done["output_file_id"])
        assert sorted(line["custom_id"] for line in answers) == sorted(f"c{n}" for n in range(20))
        message = answers[0]["response"]["body"]["choices"][0]["message"]
        assert message["content"] == "hello"
        (failed,) = await lines_of(client, done["error_file_id"])
        assert failed["custom_id"] == "bad"
        assert failed["response"]["status_code"] == 400
        output = (await client.get(f"/v1/files/{done['output_file_id']}")).json()
        assert output["purpose"] == "batch_output"
        assert output["expires_at"] == output["created_at"] + 30 * 86_400
        listed = (await client.get("/v1/batches")).json()
        assert [entry["id"] for entry in listed["data"]] == [batch["id"]]
    assert list((tmp_path / "batches").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"", "empty_file", None),
        (b"{\n", "invalid_json_line", 1),
        (jsonl(row("a"), row("a")), "duplicate_custom_id", 2),
        (jsonl(row("a", url="/v1/embeddings")), "mismatched_endpoint", 1),
        (jsonl(row("a", method="GET")), "invalid_method", 1),
        (jsonl(row("a"), row("b", body={"model": "other"})), "mismatched_model", 2),
        (jsonl(row("a", body={"model": "nose"})), "model_not_found", None),
        (jsonl(*(row(str(n)) for n in range(4))), "too_many_requests", None),
    ],
)
async def test_a_wrong_input_fails_the_batch(
    tmp_path: Path, content: bytes, code: str, line: int | None
) -> None:
    async with server(tmp_path, FakeModel(), batch_rows=3) as client:
        batch = await create(client, content)
        failed = await wait_for(client, batch["id"], "failed")
        (error,) = failed["errors"]["data"]
        assert (error["code"], error["line"]) == (code, line)
        assert failed["output_file_id"] is None


async def test_cancelling_keeps_what_is_finished(tmp_path: Path) -> None:
    gate = asyncio.Event()
    model = FakeModel(gate=gate)
    async with server(tmp_path, model, inflight=4) as client:
        batch = await create(client, jsonl(*(row(str(n)) for n in range(50))))
        await model.started.wait()
        cancelling = (await client.post(f"/v1/batches/{batch['id']}/cancel")).json()
        assert cancelling["status"] == "cancelling"
        gate.set()
        cancelled = await wait_for(client, batch["id"], "cancelled")
        counts = cancelled["request_counts"]
        assert 1 <= counts["completed"] <= 4
        answers = await lines_of(client, cancelled["output_file_id"])
        assert len(answers) == counts["completed"]
        errors = await lines_of(client, cancelled["error_file_id"])
        assert {line["error"]["code"] for line in errors} == {"batch_cancelled"}
        ids = sorted(int(line["custom_id"]) for line in answers + errors)
        assert ids == list(range(50))
        again = (await client.post(f"/v1/batches/{batch['id']}/cancel")).json()
        assert again["status"] == "cancelled"


async def test_a_batch_that_waits_is_cancelled_at_once(tmp_path: Path) -> None:
    gate = asyncio.Event()
    model = FakeModel(gate=gate)
    async with server(tmp_path, model) as client:
        others = [await create(client, jsonl(row(str(n)))) for n in range(4)]
        for other in others:
            await wait_for(client, other["id"], "in_progress")
        waits = await create(client, jsonl(row("fifth")))
        await client.post(f"/v1/batches/{waits['id']}/cancel")
        cancelled = await wait_for(client, waits["id"], "cancelled")
        assert cancelled["output_file_id"] is None
        gate.set()


async def test_a_short_batch_does_not_wait_for_a_long_one(tmp_path: Path) -> None:
    model = FakeModel(token_seconds=0.02)
    async with server(tmp_path, model, inflight=4) as client:
        long = await create(client, jsonl(*(row(str(n)) for n in range(2_000))))
        await model.started.wait()
        short = await create(client, jsonl(row("short")))
        await wait_for(client, short["id"], "completed")
        assert (await client.get(f"/v1/batches/{long['id']}")).json()["status"] == "in_progress"
        # It is counted until its files are put away.
        async with asyncio.timeout(5):
            while True:
                metrics = (await client.get("/metrics")).text
                if "sensorium_batches_running 1.0" in metrics:
                    break
                await asyncio.sleep(0.01)
        assert 'sensorium_batch_rows_total{outcome="answered"}' in metrics


async def test_a_batch_of_a_model_that_is_gone_expires(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel(), start=False) as client:
        batch = await create(client, jsonl(row("a")), completion_window="1s")
        service = client._transport.app.state.files  # type: ignore[attr-defined]

        def begun(record: Any) -> None:
            record.model = "gone"
            record.counts["total"] = 1
            record.enter("in_progress")

        await service.table.update(batch["id"], begun)
    await asyncio.sleep(1)
    async with server(tmp_path, FakeModel()) as client:
        expired = await wait_for(client, batch["id"], "expired")
        assert expired["request_counts"] == {"total": 1, "completed": 0, "failed": 1}


async def test_a_batch_expires(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with server(tmp_path, FakeModel(gate=gate), inflight=2) as client:
        content = jsonl(*(row(str(n)) for n in range(9)))
        batch = await create(client, content, completion_window="1s")
        asyncio.get_running_loop().call_later(2.2, gate.set)
        expired = await wait_for(client, batch["id"], "expired")
        counts = expired["request_counts"]
        assert counts["completed"] + counts["failed"] == 9
        errors = await lines_of(client, expired["error_file_id"])
        assert {line["error"]["code"] for line in errors} == {"batch_expired"}


async def test_a_batch_goes_on_after_the_server_has_stopped(tmp_path: Path) -> None:
    gate = asyncio.Event()
    model = FakeModel(gate=gate)
    async with server(tmp_path, model, inflight=4) as client:
        stored = await upload(client, jsonl(*(row(str(n)) for n in range(50))))
        body = {"input_file_id": stored["id"], "endpoint": CHAT, "completion_window": "24h"}
        batch = (await client.post("/v1/batches", json=body)).json()
        await model.started.wait()
        # Its own link keeps the input for the batch.
        await client.delete(f"/v1/files/{stored['id']}")
    async with server(tmp_path, FakeModel()) as client:
        done = await wait_for(client, batch["id"], "completed")
        assert done["request_counts"] == {"total": 50, "completed": 50, "failed": 0}
        answers = await lines_of(client, done["output_file_id"])
        assert sorted(int(line["custom_id"]) for line in answers) == list(range(50))


async def test_batch_rows_make_room_for_clients(tmp_path: Path) -> None:
    gate = asyncio.Event()
    model = FakeModel(gate=gate)
    async with server(tmp_path, model, inflight=8) as client:
        body = row("x")["body"]
        online = asyncio.create_task(client.post(CHAT, json=body))
        await model.started.wait()
        batch = await create(client, jsonl(*(row(str(n)) for n in range(30))))
        await wait_for(client, batch["id"], "in_progress")
        await asyncio.sleep(0.2)
        assert len(model.received) == 1 + 1
        gate.set()
        assert (await online).status_code == 200
        await wait_for(client, batch["id"], "completed")


@pytest.mark.parametrize(("inflight", "expected"), [(0, 3), (5, 5)])
async def test_half_of_what_the_engine_runs_at_once_is_asked(
    tmp_path: Path, inflight: int, expected: int
) -> None:
    gate = asyncio.Event()
    model = FakeModel(gate=gate)
    model.at_once = 6
    async with server(tmp_path, model, inflight=inflight) as client:
        batch = await create(client, jsonl(*(row(str(n)) for n in range(30))))
        await wait_for(client, batch["id"], "in_progress")
        await asyncio.sleep(0.2)
        assert len(model.received) == expected
        gate.set()
        await wait_for(client, batch["id"], "completed")


@pytest.mark.parametrize(
    ("change", "param", "status"),
    [
        ({"endpoint": "/v1/files"}, "endpoint", 400),
        ({"completion_window": "soon"}, "completion_window", 400),
        ({"completion_window": "99d"}, "completion_window", 400),
        ({"input_file_id": "file-none"}, "input_file_id", 404),
        ({"input_file_id": 3}, "input_file_id", 400),
        ({"metadata": {"a": 1}}, "metadata", 400),
    ],
)
async def test_wrong_fields_are_named(
    tmp_path: Path, change: dict[str, Any], param: str, status: int
) -> None:
    async with server(tmp_path, FakeModel()) as client:
        stored = await upload(client, b"{}")
        body = {"input_file_id": stored["id"], "endpoint": CHAT, "completion_window": "24h"}
        answer = await client.post("/v1/batches", json={**body, **change})
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_a_batch_needs_a_file_for_batches(tmp_path: Path) -> None:
    async with server(tmp_path, FakeModel()) as client:
        stored = await upload(client, b"{}", purpose="vision")
        body = {"input_file_id": stored["id"], "endpoint": CHAT, "completion_window": "24h"}
        answer = await client.post("/v1/batches", json=body)
        assert answer.status_code == 400
        for path in ("/v1/batches/batch_x", "/v1/batches/batch_x/cancel"):
            method = "POST" if path.endswith("cancel") else "GET"
            assert (await client.request(method, path)).status_code == 404
