from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sensorium.serving.batch.errors import OutputError, RefusedError, ServerGoneError
from sensorium.serving.batch.journal import Journal
from sensorium.serving.batch.media import MediaFiles
from sensorium.serving.batch.retry import RetryPolicy
from sensorium.serving.batch.rows import Row
from sensorium.serving.batch.runner import BatchRunner, RunOptions
from sensorium.serving.batch.target import BrokenOffError, Reply, Target, UnreachableError
from sensorium.serving.errors import UserError
from tests.kit.media import circle, image_bytes

CHAT = "/v1/chat/completions"
PICTURE = image_bytes(circle(size=(8, 8)))
Answer = Reply | Exception


class FakeTarget(Target):
    """Answers `answer(text, tries)`; counts."""

    def __init__(self, answer: Callable[[str, int], Answer] | None = None) -> None:
        self.answer = answer or (lambda text, tries: reply(text))
        self.tries: dict[str, int] = {}
        self.bodies: list[Any] = []
        self.at_once = self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.reason: str | None = None
        self.dead = lambda: self.reason

    async def send(
        self, url: str, content: bytes, content_type: str, *, seconds: float | None = None
    ) -> Reply:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        await self.gate.wait()
        self.at_once -= 1
        self.bodies.append(json.loads(content))
        text = self.bodies[-1]["messages"][0]["content"]
        text = text if isinstance(text, str) else text[-1].get("text", "")
        self.tries[text] = self.tries.get(text, 0) + 1
        answer = self.answer(text, self.tries[text])
        if isinstance(answer, Exception):
            raise answer
        return answer


def reply(text: str, status: int = 200) -> Reply:
    return Reply(status, json.dumps({"text": text, "usage": {"prompt_tokens": 2}}).encode(), "r")


def rows(count: int) -> Iterator[Row]:
    for number in range(count):
        messages = [{"role": "user", "content": f"t{number}"}]
        yield Row(number, f"c{number}", CHAT, {"messages": messages})


def journal_in(folder: Path) -> Journal:
    return Journal(folder / "out", folder / "err", "ab12")


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def runner(journal: Journal, target: Target, source: Iterator[Row], **options: Any) -> BatchRunner:
    retry = RetryPolicy(retries=options.pop("retries", 2), first=0.0, longest=0.0)
    return BatchRunner(
        source,
        journal,
        target,
        MediaFiles(journal.answers.parent),
        RunOptions(retry=retry, patience=0.0, **options),
    )


async def test_every_row_is_written_once_and_the_window_kept(tmp_path: Path) -> None:
    target = FakeTarget()
    journal = journal_in(tmp_path)
    assert await runner(journal, target, rows(300), inflight=7).run()
    journal.close()
    written = lines(tmp_path / "out")
    assert sorted(row["custom_id"] for row in written) == sorted(f"c{n}" for n in range(300))
    assert target.most_at_once == 7
    assert written[0]["response"]["status_code"] == 200


async def test_a_finished_row_is_not_asked_again(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    await runner(journal, FakeTarget(), rows(5)).run()
    journal.close()
    with (tmp_path / "out").open("ab") as file:
        file.write(b'{"id": "batch_req_ab12_7", "custom')  # torn by a crash
    target = FakeTarget()
    journal = journal_in(tmp_path)
    again = runner(journal, target, rows(8))
    assert await again.run()
    assert set(target.tries) == {"t5", "t6", "t7"}
    assert (again.tally.before, again.tally.rows) == (5, 8)
    assert len(lines(tmp_path / "out")) == 8


async def test_longest_first(tmp_path: Path) -> None:
    def source() -> Iterator[Row]:
        for number, length in enumerate((1, 5, 3, 9)):
            yield Row(number, None, CHAT, {"messages": [{"content": "x" * length}]})

    target = FakeTarget()
    await runner(journal_in(tmp_path), target, source(), inflight=1, lookahead=9).run()
    assert [len(text) for text in target.tries] == [9, 5, 3, 1]


class TestFailures:
    async def test_retries_with_a_cap(self, tmp_path: Path) -> None:
        def answer(text: str, tries: int) -> Answer:
            if text == "t0":
                return reply("no", 500)
            if text == "t1" and tries < 3:
                return reply("no", 429)
            if text == "t2":
                return BrokenOffError("reset")
            return reply("no", 400) if text == "t3" else reply(text)

        target = FakeTarget(answer)
        running = runner(journal_in(tmp_path), target, rows(5))
        assert await running.run()
        assert target.tries == {"t0": 3, "t1": 3, "t2": 3, "t3": 1, "t4": 1}
        assert {row["custom_id"] for row in lines(tmp_path / "out")} == {"c1", "c4"}
        failed = {row["custom_id"]: row for row in lines(tmp_path / "err")}
        assert failed["c0"]["response"]["status_code"] == 500
        assert failed["c2"]["error"] == {"code": "connection_error", "message": "reset"}
        assert failed["c3"]["response"]["status_code"] == 400
        assert running.tally.retries == 6

    async def test_a_server_that_is_gone_stops_the_batch(self, tmp_path: Path) -> None:
        def answer(text: str, tries: int) -> Answer:
            return reply(text) if int(text[1:]) < 10 else UnreachableError("refused")

        journal = journal_in(tmp_path)
        with pytest.raises(ServerGoneError, match="refused"):
            await runner(journal, FakeTarget(answer), rows(100), inflight=1).run()
        assert len(lines(tmp_path / "out")) == 10
        assert not lines(tmp_path / "err")

    async def test_a_dead_engine_stops_the_batch(self, tmp_path: Path) -> None:
        target = FakeTarget()

        def answer(text: str, tries: int) -> Answer:
            if text == "t9":
                target.reason = "out of memory"
                return reply("no", 500)
            return reply(text)

        target.answer = answer
        with pytest.raises(ServerGoneError, match="out of memory"):
            await runner(journal_in(tmp_path), target, rows(100), inflight=1).run()
        assert len(lines(tmp_path / "out")) == 9

    async def test_a_wrong_key_stops_the_batch(self, tmp_path: Path) -> None:
        target = FakeTarget(lambda text, tries: reply("wrong key", 401))
        with pytest.raises(RefusedError, match="wrong key"):
            await runner(journal_in(tmp_path), target, rows(9)).run()
        assert not lines(tmp_path / "err")

    async def test_a_disk_that_fails_stops_the_batch(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = journal_in(tmp_path)

        def fail(answers: Any, errors: Any) -> None:
            raise OutputError("cannot write out: No space left on device")

        monkeypatch.setattr(journal, "append", fail)
        with pytest.raises(OutputError, match="No space left"):
            await runner(journal, FakeTarget(), rows(1000), inflight=2).run()


async def test_stopping_finishes_what_is_in_flight(tmp_path: Path) -> None:
    target = FakeTarget()
    target.gate.clear()
    running = runner(journal_in(tmp_path), target, rows(100), inflight=3)
    task = asyncio.create_task(running.run())
    while target.at_once < 3:  # noqa: ASYNC110 - a few turns of the loop
        await asyncio.sleep(0)
    running.stop()
    target.gate.set()
    assert await task is False
    assert len(lines(tmp_path / "out")) == 3


class TestMedia:
    async def test_a_file_is_read_once_and_a_bad_one_fails_its_row(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(PICTURE)
        (tmp_path / "same.png").write_bytes(PICTURE)
        (tmp_path / "bad.png").write_bytes(b"nonsense")
        names = ["a.png"] * 5 + ["same.png", "bad.png", "none.png", "../../etc/passwd"]

        def source() -> Iterator[Row]:
            for number, name in enumerate(names):
                part = {"type": "image_url", "image_url": {"url": name, "detail": "low"}}
                content = [part, {"type": "text", "text": str(number)}]
                yield Row(number, name, CHAT, {"messages": [{"content": content}]})

        target = FakeTarget()
        running = runner(journal_in(tmp_path), target, source())
        assert await running.run()
        url = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
        sent = [body["messages"][0]["content"][0]["image_url"] for body in target.bodies]
        assert sent == [{"url": url, "detail": "low"}] * 6
        assert (running._files.hits, running._files.misses) == (4, 4 - 1)
        failed = {row["custom_id"]: row["error"] for row in lines(tmp_path / "err")}
        assert failed["bad.png"]["code"] == "unsupported_file"
        assert failed["none.png"]["code"] == "file_not_found"
        assert failed["../../etc/passwd"]["code"] == "path_not_allowed"
        assert failed["none.png"]["param"] == "messages.0.content.0.image_url"

    async def test_memory_is_bounded(self, tmp_path: Path) -> None:
        files = MediaFiles(tmp_path, budget=3000)
        for number in range(9):
            (tmp_path / f"{number}.png").write_bytes(PICTURE + bytes([number]) * 200)
            await files.encode(f"{number}.png")
        assert files._size <= 3000
        assert sum(len(kept.text) for kept in files._by_content.values()) == files._size

    async def test_a_link_out_of_the_root_is_refused(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        root.mkdir()
        (tmp_path / "a.png").write_bytes(PICTURE)
        (root / "link.png").symlink_to(tmp_path / "a.png")
        with pytest.raises(Exception, match="outside of the media root"):
            await MediaFiles(root).encode("link.png")


class TestJournal:
    def test_a_second_process_is_kept_out(self, tmp_path: Path) -> None:
        first = journal_in(tmp_path)
        with pytest.raises(UserError, match="another process is writing"):
            journal_in(tmp_path)
        first.close()
        journal_in(tmp_path).close()

    @pytest.mark.parametrize("tail", [b"\0" * 100, b'{"id": "batch_', b"\0\n\0\n", b'{"id": "x"}'])
    def test_a_torn_tail_is_cut_off(self, tmp_path: Path, tail: bytes) -> None:
        whole = b'{"id": "batch_req_ab12_3"}\n'
        (tmp_path / "out").write_bytes(whole + tail)
        journal = journal_in(tmp_path)
        assert (3 in journal.done, len(journal.done)) == (True, 1)
        journal.append([b'{"id": "batch_req_ab12_4"}\n'], [])
        journal.close()
        assert (tmp_path / "out").read_bytes() == whole + b'{"id": "batch_req_ab12_4"}\n'

    @pytest.mark.parametrize(
        "content",
        [
            b'{"id": "batch_req_ffff_3"}\n',
            b'{"mine": 1}\n',
            b'torn\n{"id": "batch_req_ab12_3"}\n',
            b'{"id": "batch_req_ab12_3"}\n{"id": "batch_req_ab12_3"}\n',
        ],
    )
    def test_what_is_not_of_this_batch_is_left_alone(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "out").write_bytes(content)
        with pytest.raises(UserError, match="changed by something else"):
            journal_in(tmp_path)
        assert (tmp_path / "out").read_bytes() == content
