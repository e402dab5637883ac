"""The client against a server with set delays and faults."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import pairwise
from statistics import median, quantiles, stdev

import pytest

from sensorium.benchmarks.client.events import EventSplitter, ServerSaidError, read_event
from sensorium.benchmarks.client.http import open_http
from sensorium.benchmarks.client.request import PreparedRequest
from sensorium.benchmarks.fake_server import FakeServer, Pace, running
from sensorium.benchmarks.load.arrivals import Arrivals
from sensorium.benchmarks.load.runner import Level, LevelRun, run_level
from sensorium.benchmarks.measure.record import RequestRecord

CHAT = PreparedRequest("/v1/chat/completions", b'{"stream": true}')


class Numbered:
    """The same request again and again, with its number in the query."""

    async def take(self, index: int) -> tuple[PreparedRequest, bool]:
        return replace(CHAT, path=f"{CHAT.path}?i={index}"), False


async def load(pace: Pace, level: Level, seconds: float = 60.0) -> tuple[LevelRun, FakeServer]:
    """Load a fake server of that pace in this event loop."""
    server = FakeServer(pace)
    async with running(server) as address, open_http(address, None, seconds) as http:
        return await run_level(level, http, Numbered()), server


class TestTimes:
    """Compared with when the server really sent, so that a busy machine cannot fail them."""

    async def test_first_tokens_and_gaps_are_recovered(self) -> None:
        pace = Pace(first=0.08, first_deviation=0.03, gap=0.02, gap_deviation=0.01, tokens=6)
        run, server = await load(pace, Level(arrivals=Arrivals(60.0, seed=1), requests=150))
        entries = {entry.query: entry for entry in server.log}
        pairs = [(record, entries[f"i={record.index}"]) for record in run.records]
        first = [(r.events[0] - r.sent) - (e.sent[0] - e.received) for r, e in pairs]
        gaps = [
            seen - (after - before)
            for r, e in pairs
            for seen, (before, after) in zip(r.itl, pairwise(e.sent), strict=True)
        ]
        # What a busy machine adds now and then is not the client's: the lower half is.
        assert -0.002 < quantiles(first)[0] < 0.002
        assert abs(median(gaps)) < 0.002
        assert abs(quantiles(gaps)[0]) < 0.002
        assert stdev(r.ttft or 0.0 for r in run.records) > 0.02

    async def test_a_stall_shows_in_an_open_loop(self) -> None:
        pace = Pace(first=0.01, gap=0.0, tokens=1, stall_at=0.5, stall_seconds=0.5)
        run, _ = await load(pace, Level(arrivals=Arrivals(40.0, "constant"), seconds=1.5))
        stalled = [r for r in run.records if 0.5 <= r.intended < 0.9]
        assert len(stalled) == 16
        for record in stalled:
            # The stall ends half a second after it began, whatever else the machine does.
            assert record.e2e >= 1.0 - record.intended - 0.02


class TestFailures:
    async def test_refusals_are_counted_by_status(self) -> None:
        run, server = await load(
            Pace(first=0.0, gap=0.0, fail=0.3), Level(concurrency=8, requests=100)
        )
        failed = [record for record in run.records if not record.ok]
        assert len(failed) == sum(entry.fate == "failed" for entry in server.log)
        assert 15 < len(failed) < 45
        assert {record.error for record in failed} == {"http_429"}
        assert "made to fail" in failed[0].detail

    async def test_streams_that_break_off_are_disconnects(self) -> None:
        run, server = await load(
            Pace(first=0.0, gap=0.001, tokens=5, break_off=0.25), Level(concurrency=4, requests=60)
        )
        broken = sum(entry.fate == "broken" for entry in server.log)
        assert 5 < broken < 30
        assert sum(record.error == "disconnect" for record in run.records) == broken
        assert sum(record.ok for record in run.records) == 60 - broken

    async def test_nobody_there(self) -> None:
        record = RequestRecord(0, 0.0)
        async with open_http("http://127.0.0.1:9", None, 5.0) as http:
            await http.send(CHAT, record, 0.0)
        assert record.error == "connect"

    async def test_no_answer_in_time(self) -> None:
        run, _ = await load(Pace(first=30.0), Level(concurrency=2, requests=2), seconds=0.2)
        assert [record.error for record in run.records] == ["timeout", "timeout"]

    async def test_a_stream_that_ends_without_done_is_a_disconnect(self) -> None:
        record = await answer_of(b"data: {}\n\n")
        assert record.error == "disconnect"

    async def test_a_transcription_ends_with_its_own_event(self) -> None:
        delta = b'data: {"type": "transcript.text.delta", "delta": "Hello"}\n\n'
        usage = {"input_tokens": 7, "output_tokens": 3, "input_token_details": {"audio_tokens": 5}}
        last = json.dumps({"type": "transcript.text.done", "text": "Hello", "usage": usage})
        record = await answer_of(delta + f"data: {last}\n\n".encode())
        assert (record.error, len(record.events)) == (None, 1)
        assert (record.input_tokens, record.output_tokens) == (7, 3)
        assert record.media_tokens == {"audio": 5}
        assert (await answer_of(delta)).error == "disconnect"

    async def test_an_error_in_the_stream(self) -> None:
        record = await answer_of(b'data: {"error": {"message": "engine died"}}\n\ndata: [DONE]\n\n')
        assert (record.error, record.detail) == ("error_event", "engine died")

    async def test_what_is_not_json(self) -> None:
        record = await answer_of(b"data: {oh\n\ndata: [DONE]\n\n")
        assert record.error == "bad_answer"


async def answer_of(body: bytes) -> RequestRecord:
    """What becomes of a request that is answered with this stream."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        finally:
            writer.close()

    record = RequestRecord(0, 0.0)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with open_http(f"http://127.0.0.1:{port}", None, 5.0) as http:
            await http.send(CHAT, record, 0.0)
    return record


class TestAnswers:
    async def test_tokens_are_the_servers(self) -> None:
        run, _ = await load(Pace(first=0.0, gap=0.0), Level(concurrency=1, requests=1))
        (record,) = run.records
        assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (7, 16, 2)
        assert record.media_tokens == {"image": 3}
        assert len(record.events) == 16

    async def test_whole_answers(self) -> None:
        server = FakeServer(Pace(first=0.01, gap=0.0))
        record = RequestRecord(0, 0.0)
        request = PreparedRequest("/v1/embeddings", b'{"input": "x"}', streams=False)
        async with running(server) as address, open_http(address, None, 5.0) as http:
            await http.send(request, record, 0.0)
        assert record.ok
        assert (record.streamed, record.events, record.input_tokens) == (False, [], 7)


class TestEvents:
    STREAM = b': ping\r\n\r\ndata: {"a": 1}\r\n\r\ndata:{"b": 2}\n\nevent: x\ndata: [DONE]\n\n'

    @pytest.mark.parametrize("size", [1, 2, 7, 1000])
    def test_however_the_bytes_come(self, size: int) -> None:
        splitter = EventSplitter()
        pieces = [self.STREAM[i : i + size] for i in range(0, len(self.STREAM), size)]
        found = [event for piece in pieces for event in splitter.feed(piece)]
        assert found == [b'{"a": 1}', b'{"b": 2}', b"[DONE]"]

    @pytest.mark.parametrize(
        ("choice", "carries"),
        [
            ('{"delta": {"role": "assistant", "content": ""}}', False),
            ('{"delta": {"content": "a"}}', True),
            ('{"delta": {"reasoning_content": "a"}}', True),
            ('{"delta": {"tool_calls": [{}]}}', True),
            ('{"delta": {}, "finish_reason": "stop"}', False),
            ('{"text": "a"}', True),
        ],
    )
    def test_which_carry_text(self, choice: str, carries: bool) -> None:
        assert read_event(f'{{"choices": [{choice}]}}'.encode()).carries_text is carries

    def test_vllms_own_names_of_media_tokens(self) -> None:
        details = '{"multimodal_tokens": {"image": 5, "audio": 0}}'
        usage = read_event(f'{{"usage": {{"prompt_tokens_details": {details}}}}}'.encode()).usage
        assert usage is not None
        assert usage.media_tokens == {"image": 5}

    def test_errors(self) -> None:
        with pytest.raises(ServerSaidError, match="no"):
            read_event(b'{"error": "no"}')
        with pytest.raises(ValueError, match="not an object"):
            read_event(b"[]")
