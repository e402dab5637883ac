"""The outer app over ASGI, with fake models: routing, identity, errors, translation."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from sensorium.serving.http.app import SensoriumApp
from sensorium.serving.http.auth import KeyRing
from sensorium.serving.testing.fake_model import FakeModel
from tests.serving.http.conftest import client_of, server_state

CHAT = "/v1/chat/completions"


def chat(model: str | None = "eyes", content: Any = "hi", **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}], **more}
    return body if model is None else {**body, "model": model}


def error_of(response: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] is None or isinstance(error["code"], str)
    return error


class TestRouting:
    async def test_two_models_by_name(self, serve: Any) -> None:
        async with serve(eyes=FakeModel("see"), ears=FakeModel("hear")) as client:
            seen = (await client.post(CHAT, json=chat("eyes"))).json()
            heard = (await client.post(CHAT, json=chat("ears"))).json()
        assert seen["choices"][0]["message"]["content"] == "see"
        assert heard["choices"][0]["message"]["content"] == "hear"

    async def test_no_model_named_takes_the_first_that_can(self, serve: Any) -> None:
        ears = FakeModel(capabilities=frozenset({"transcription"}))
        async with serve(ears=ears, eyes=FakeModel("see")) as client:
            answer = await client.post(CHAT, json=chat(None))
        assert answer.json()["choices"][0]["message"]["content"] == "see"

    async def test_unknown_model_names_the_others(self, serve: Any) -> None:
        async with serve(eyes=FakeModel(), ears=FakeModel()) as client:
            answer = await client.post(CHAT, json=chat("nose"))
        error = error_of(answer)
        assert (answer.status_code, error["code"], error["param"]) == (
            404,
            "model_not_found",
            "model",
        )
        assert "eyes, ears" in error["message"]

    async def test_model_without_the_ability(self, serve: Any) -> None:
        ears = FakeModel(capabilities=frozenset({"transcription"}))
        async with serve(ears=ears, eyes=FakeModel()) as client:
            answer = await client.post(CHAT, json=chat("ears"))
        assert answer.status_code == 400
        assert "Models here that do: eyes" in error_of(answer)["message"]

    async def test_still_loading_is_503_with_retry_after(self, serve: Any) -> None:
        async with serve(eyes=None) as client:
            answer = await client.post(CHAT, json=chat())
            ready = await client.get("/health/ready")
            live = await client.get("/health/live")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert error_of(answer)["code"] == "model_loading"
        assert (ready.status_code, live.status_code) == (503, 200)

    async def test_dead_engine_is_503_and_not_live(self, serve: Any) -> None:
        model = FakeModel()
        model.died = "out of memory"
        async with serve(eyes=model) as client:
            answer = await client.post(CHAT, json=chat())
            live = await client.get("/health/live")
        assert (answer.status_code, live.status_code) == (503, 503)
        assert "out of memory" in error_of(answer)["message"]

    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("GET", "/v1/nothing", 404, "unknown_url"),
            ("GET", CHAT, 405, "method_not_allowed"),
            ("POST", "/v1/models", 405, "method_not_allowed"),
            ("GET", "/v1/models/nose", 404, "model_not_found"),
            ("POST", "/invocations", 404, "unknown_url"),
        ],
    )
    async def test_wrong_address(
        self, serve: Any, method: str, path: str, status: int, code: str
    ) -> None:
        async with serve(eyes=FakeModel()) as client:
            answer = await client.request(method, path)
        assert (answer.status_code, error_of(answer)["code"]) == (status, code)

    async def test_models_are_listed_and_found_even_with_slashes(self, serve: Any) -> None:
        async with serve(**{"org/eyes": FakeModel(media_limits={"image": 2})}) as client:
            listed = (await client.get("/v1/models")).json()
            one = (await client.get("/v1/models/org/eyes")).json()
        assert listed == {"object": "list", "data": [one]}
        assert one["id"] == "org/eyes"
        assert one["media_limits"] == {"image": 2}

    async def test_description_holds_our_endpoints_and_the_models(self, serve: Any) -> None:
        async with serve(eyes=FakeModel()) as client:
            paths = (await client.get("/openapi.json")).json()["paths"]
        assert {CHAT, "/v1/models", "/health/ready", "/metrics"} <= set(paths)
        assert "503" in paths["/health/ready"]["get"]["responses"]
        assert "default" in paths[CHAT]["post"]["responses"]


class TestIdentity:
    async def test_request_id_is_taken(self, serve: Any) -> None:
        model = FakeModel()
        async with serve(eyes=model) as client:
            answer = await client.post(CHAT, json=chat(), headers={"x-request-id": "mine-1"})
        assert answer.headers["x-request-id"] == "mine-1"
        assert (b"x-request-id", b"mine-1") in model.headers

    @pytest.mark.parametrize("given", [None, "", "with space", "x" * 129])
    async def test_request_id_is_made_when_none_is_usable(
        self, serve: Any, given: str | None
    ) -> None:
        headers = {} if given is None else {"x-request-id": given}
        async with serve(eyes=FakeModel()) as client:
            answer = await client.get("/v1/nothing", headers=headers)
        assert answer.headers["x-request-id"].startswith("req_")

    @pytest.mark.parametrize("path", ["/v1/models", CHAT, "/tokenize", "/docs", "/metrics", "/x"])
    async def test_key_guards(self, path: str) -> None:
        state = server_state(eyes=FakeModel())
        state.keys = KeyRing(["sesame", "second"])
        async with client_of(state) as client:
            missing = await client.get(path)
            wrong = await client.get(path, headers={"Authorization": "Bearer sesamo"})
            right = await client.get(path, headers={"Authorization": "Bearer second"})
        assert missing.status_code == wrong.status_code == 401
        assert right.status_code != 401
        assert error_of(missing)["code"] == error_of(wrong)["code"] == "invalid_api_key"

    async def test_health_needs_no_key_and_metrics_may_not(self) -> None:
        state = server_state(eyes=FakeModel())
        state.keys = KeyRing(["sesame"], public_metrics=True)
        async with client_of(state) as client:
            for path in ("/health", "/health/live", "/health/ready", "/metrics"):
                assert (await client.get(path)).status_code == 200


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"", "no body"),
            (b'{"model": ', "line 1, column 11"),
            (b"[1]", "must be a JSON object, got list"),
            (b"\xff\xfe{}", "not valid"),
            (b"[" * 100_000, "nests too deeply"),
        ],
    )
    async def test_malformed(self, serve: Any, body: bytes, words: str) -> None:
        async with serve(eyes=FakeModel()) as client:
            answer = await client.post(CHAT, content=body)
        assert answer.status_code == 400
        assert words in error_of(answer)["message"]

    async def test_too_large_by_declaration_and_by_count(self) -> None:
        state = server_state(eyes=FakeModel())
        state.max_body_bytes = 10

        async def unannounced() -> Any:
            for _ in range(3):
                yield b"x" * 5

        async with client_of(state) as client:
            declared = await client.post(CHAT, content=b"x" * 11)
            counted = await client.post(CHAT, content=unannounced())
        assert declared.status_code == counted.status_code == 413
        assert "takes 10" in error_of(declared)["message"]

    async def test_form_routes_find_the_model(self, serve: Any) -> None:
        ears = FakeModel(capabilities=frozenset({"transcription"}))
        async with serve(eyes=FakeModel(), ears=ears) as client:
            answer = await client.post(
                "/v1/audio/transcriptions",
                data={"model": "ears"},
                files={"file": ("a.wav", b"RIFF")},
            )
            not_a_form = await client.post("/v1/audio/transcriptions", json={"model": "ears"})
        assert answer.status_code == 200
        assert b"RIFF" in ears.received[0]
        assert not_a_form.status_code == 400

    async def test_file_part_reaches_the_model_as_an_image(self, serve: Any) -> None:
        model = FakeModel(media_limits={"image": 1})
        png = "iVBORw0KGgoAAAANSUhEUg=="
        part = {"type": "file", "file": {"file_data": f"data:image/png;base64,{png}"}}
        async with serve(eyes=model) as client:
            await client.post(CHAT, json=chat(content=[part]))
        sent = json.loads(model.received[0])["messages"][0]["content"][0]
        assert sent["image_url"]["url"] == f"data:image/png;base64,{png}"

    @pytest.mark.parametrize(("given", "sent"), [(None, ["###"]), ([], ["###"]), (["x"], ["x"])])
    async def test_texts_that_end_an_answer_of_the_model(
        self, serve: Any, given: list[str] | None, sent: list[str]
    ) -> None:
        model = FakeModel()
        model.stop_texts = ("###",)
        async with serve(eyes=model) as client:
            await client.post(CHAT, json=chat(stop=given))
        assert json.loads(model.received[0])["stop"] == sent


class TestTranslation:
    async def test_usage_is_completed(self, serve: Any) -> None:
        async with serve(eyes=FakeModel()) as client:
            usage = (await client.post(CHAT, json=chat())).json()["usage"]
        assert usage["prompt_tokens_details"] == {
            "cached_tokens": 0,
            "image_tokens": 0,
            "audio_tokens": 0,
            "text_tokens": 7,
            "cache_write_tokens": 0,
        }

    async def test_stream_passes_through_with_usage(self, serve: Any) -> None:
        async with serve(eyes=FakeModel("a b")) as client:
            answer = await client.post(CHAT, json=chat(stream=True))
        events = [line for line in answer.text.split("\n\n") if line]
        assert events[-1] == "data: [DONE]"
        assert json.loads(events[-2][6:])["usage"]["prompt_tokens_details"]["text_tokens"] == 7

    async def test_vllm_error_becomes_openais(self, serve: Any) -> None:
        model = FakeModel()
        model.answer = (422, {"error": {"message": "bad", "type": "X", "param": "p", "code": 422}})
        async with serve(eyes=model) as client:
            answer = await client.post(CHAT, json=chat())
        assert answer.status_code == 400
        assert error_of(answer) == {
            "message": "bad",
            "type": "invalid_request_error",
            "param": "p",
            "code": None,
        }

    async def test_overload_carries_retry_after(self, serve: Any) -> None:
        model = FakeModel()
        model.answer = (
            503,
            {"error": {"message": "busy", "type": "ServiceUnavailable", "code": 503}},
        )
        async with serve(eyes=model) as client:
            answer = await client.post(CHAT, json=chat())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")

    async def test_a_fault_of_ours_is_still_an_answer(self, serve: Any) -> None:
        async def broken(*_: object) -> None:
            raise KeyError("ours")

        model = FakeModel()
        model.app = broken  # type: ignore[method-assign, assignment]
        async with serve(eyes=model) as client:
            answer = await client.post(CHAT, json=chat())
        assert answer.status_code == 500
        assert error_of(answer)["type"] == "server_error"

    async def test_a_fault_after_the_answer_changes_nothing(self, serve: Any) -> None:
        model = FakeModel()
        answering = model.app

        async def fails_late(*given: Any) -> None:
            await answering(*given)
            raise KeyError("late")

        model.app = fails_late  # type: ignore[method-assign, assignment]
        async with serve(eyes=model) as client:
            answer = await client.post(CHAT, json=chat())
        assert answer.status_code == 200

    async def test_a_stream_that_fails_ends_with_an_error(self) -> None:
        model = FakeModel()

        async def fails_midway(scope: Any, receive: Any, send: Any) -> None:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            chunk = {"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True}
            await send(chunk)
            raise KeyError("midway")

        model.app = fails_midway  # type: ignore[method-assign, assignment]
        async with client_of(server_state(eyes=model)) as client:
            answer = await client.post(CHAT, json=chat())
        first, second = answer.text.split("\n\n", 1)
        assert first == "data: 1"
        assert json.loads(second[6:])["error"]["type"] == "server_error"


class TestLifecycle:
    async def test_draining_refuses_new_and_finishes_old(self) -> None:
        gate = asyncio.Event()
        model = FakeModel("done", gate=gate)
        state = server_state(eyes=model)
        async with client_of(state) as client:
            running = asyncio.create_task(client.post(CHAT, json=chat()))
            await model.started.wait()
            state.draining = True
            refused = await client.post(CHAT, json=chat())
            ready = await client.get("/health/ready")
            drained = asyncio.create_task(state.drained())
            await asyncio.sleep(0)
            assert not drained.done()
            gate.set()
            finished = await running
            await drained
        assert (refused.status_code, ready.status_code) == (503, 503)
        assert finished.json()["choices"][0]["message"]["content"] == "done"

    async def test_a_client_that_leaves_frees_its_request(self) -> None:
        model = FakeModel(gate=asyncio.Event())
        state = server_state(eyes=model)
        body = json.dumps(chat()).encode()
        gone = asyncio.Event()
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            for message in messages:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            raise AssertionError("nothing is to be sent to a client that left")

        scope = {"type": "http", "method": "POST", "path": CHAT, "headers": [], "query_string": b""}
        request = asyncio.create_task(SensoriumApp(state)(scope, receive, send))
        await model.started.wait()
        gone.set()
        await request
        assert model.aborted == 1
        assert not state.running

    async def test_metrics_count_requests_by_route_model_and_status(self) -> None:
        state = server_state(eyes=FakeModel())
        async with client_of(state) as client:
            await client.post(CHAT, json=chat())
            await client.post(CHAT, json=chat("nose"))
            text = (await client.get("/metrics")).text
        ok = f'sensorium_requests_total{{model="eyes",route="{CHAT}",status="200"}} 1.0'
        missing = f'sensorium_requests_total{{model="",route="{CHAT}",status="404"}} 1.0'
        assert ok in text
        assert missing in text
        assert "sensorium_ready 1.0" in text
