"""Files and batches with a real engine: the same answers as online, and none lost at a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.kit.live_server import LiveServer
from tests.kit.media import (
    BLUE,
    GREEN,
    RED,
    beeps,
    circle,
    data_url,
    image_bytes,
    image_url,
    moving_circle,
)

pytestmark = pytest.mark.engine
CHAT = "/v1/chat/completions"
QUESTIONS = ("Describe the image.", "What colour is the shape?", "How many shapes are there?")


ROWS = int(os.environ.get("SENSORIUM_DIFFERENTIAL_ROWS", "45"))


def media_of(number: int, pictures: list[str]) -> list[dict[str, Any]]:
    """Another medium for each number: files of the server, pictures, two at once, sounds, clips."""
    colour = (RED, GREEN, BLUE)[number % 3]
    picture = circle(colour, (200 + number % 97 * 5, 150 + number % 31 * 9), (0.4, 0.5))
    shown = {"type": "image_url", "image_url": {"url": image_url(picture, "JPEG")}}
    if number % 50 == 49:
        url = data_url("video/mp4", moving_circle(colour, seconds=1 + number % 3))
        return [{"type": "video_url", "video_url": {"url": url}}]
    match number % 5:
        case 0:
            return [{"type": "file", "file": {"file_id": pictures[number // 5 % 3]}}]
        case 1:
            return [shown]
        case 2:
            second = circle((RED, GREEN, BLUE)[number // 3 % 3], (333, 222))
            return [shown, {"type": "image_url", "image_url": {"url": image_url(second)}}]
        case 3:
            url = data_url("audio/wav", beeps(1 + number % 4, pitch=1000.0 + number))
            return [{"type": "audio_url", "audio_url": {"url": url}}]
        case _:
            return [{"type": "image_url", "image_url": {"url": image_url(picture)}}]


def body_of(number: int, *parts: dict[str, Any]) -> dict[str, Any]:
    content = [*parts, {"type": "text", "text": QUESTIONS[number % len(QUESTIONS)]}]
    messages = [{"role": "user", "content": content}]
    return {"model": "demo", "temperature": 0, "max_tokens": 24, "messages": messages}


def jsonl(bodies: list[dict[str, Any]]) -> bytes:
    rows = [
        {"custom_id": str(number), "method": "POST", "url": CHAT, "body": body}
        for number, body in enumerate(bodies)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def upload_pictures(client: openai.OpenAI) -> list[str]:
    return [
        client.files.create(
            file=(f"{n}.png", image_bytes(circle(colour, at=(0.3 + 0.1 * n, 0.5)))),
            purpose="vision",
        ).id
        for n, colour in enumerate((RED, GREEN, BLUE))
    ]


def start_batch(client: openai.OpenAI, content: bytes) -> str:
    uploaded = client.files.create(file=("in.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=uploaded.id, endpoint=CHAT, completion_window="24h"
    ).id


def answers_of(client: openai.OpenAI, batch_id: str, rows: int) -> dict[str, str]:
    deadline = time.monotonic() + max(200, rows)
    while (batch := client.batches.retrieve(batch_id)).status != "completed":
        assert batch.status in {"validating", "in_progress", "finalizing"}, batch
        assert time.monotonic() < deadline, batch
        time.sleep(0.1)  # another process; there is nothing to wait on
    assert batch.request_counts is not None
    assert batch.output_file_id is not None, batch
    assert batch.request_counts.completed == rows
    lines = client.files.content(batch.output_file_id).text.splitlines()
    assert len(lines) == rows
    return {row["custom_id"]: text_of(row["response"]["body"]) for row in map(json.loads, lines)}


def text_of(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


def test_a_file_id_in_a_chat(demo_client: openai.OpenAI) -> None:
    picture = upload_pictures(demo_client)[1]
    sound = demo_client.files.create(file=("beep.wav", beeps(1)), purpose="user_data").id
    for file_id, question in ((picture, "What colour is the shape?"), (sound, "What do you hear?")):
        part: Any = {"type": "file", "file": {"file_id": file_id}}
        words = {"type": "text", "text": question}
        messages: Any = [{"role": "user", "content": [part, words]}]
        answer = demo_client.chat.completions.create(
            model="demo", messages=messages, temperature=0, max_tokens=24
        )
        assert answer.choices[0].message.content
        if file_id == picture:
            assert "green" in answer.choices[0].message.content.lower()


@pytest.mark.timeout(max(300, 8 * ROWS))
def test_batch_and_online_give_the_same_answers(
    server: LiveServer, demo_client: openai.OpenAI, tmp_path: Path
) -> None:
    pictures = upload_pictures(demo_client)
    bodies = [body_of(n, *media_of(n, pictures)) for n in range(ROWS)]
    (tmp_path / "in.jsonl").write_bytes(jsonl(bodies))
    batched = answers_of(demo_client, start_batch(demo_client, jsonl(bodies)), ROWS)
    command = [sys.executable, "-P", "-m", "sensorium.serving", "batch", "--url", server.url]
    files = [str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl")]
    subprocess.run([*command, *files, "--quiet"], check=True, timeout=5 * ROWS)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    by_command = {
        row["custom_id"]: text_of(row["response"]["body"]) for row in map(json.loads, lines)
    }

    def ask(number: int) -> tuple[str, str]:
        answer = demo_client.chat.completions.create(**bodies[number])
        return str(number), text_of(answer.model_dump())

    with ThreadPoolExecutor(4) as clients:
        online = dict(clients.map(ask, range(ROWS)))
    assert batched == online
    assert by_command == online
    print(f"{ROWS} rows, {len(set(online.values()))} different answers: the same in all three ways")


def test_sounds_are_transcribed(demo_client: openai.OpenAI) -> None:
    sound = demo_client.files.create(file=("beep.wav", beeps(1)), purpose="user_data").id
    url = "/v1/audio/transcriptions"
    row = {"custom_id": "a", "method": "POST", "url": url, "body": {"file": sound}}
    row["body"]["model"] = "tiny-whisper"  # type: ignore[index]
    content = json.dumps(row).encode()
    uploaded = demo_client.files.create(file=("in.jsonl", content), purpose="batch")
    create: Any = demo_client.batches.create
    batch = create(input_file_id=uploaded.id, endpoint=url, completion_window="24h")
    deadline = time.monotonic() + 60
    while (found := demo_client.batches.retrieve(batch.id)).status != "completed":
        assert time.monotonic() < deadline, found
        time.sleep(0.1)  # another process; there is nothing to wait on
    assert found.output_file_id is not None, found
    line = json.loads(demo_client.files.content(found.output_file_id).text)
    assert isinstance(line["response"]["body"]["text"], str)


@pytest.mark.timeout(600)
def test_a_batch_goes_on_after_kill_9(tmp_path: Path) -> None:
    rows = 200
    data = {"SENSORIUM_DATA_DIR": str(tmp_path / "data")}
    with LiveServer(["demo"], tmp_path / "first.log", data) as live:
        client = openai.OpenAI(base_url=f"{live.wait_ready()}/v1", api_key="none")
        pictures = upload_pictures(client)
        parts = [{"type": "file", "file": {"file_id": file_id}} for file_id in pictures]
        batch_id = start_batch(client, jsonl([body_of(n, parts[n % 3]) for n in range(rows)]))
        client.close()
        answers = tmp_path / "data" / "batches" / batch_id / "answers.jsonl"
        while not answers.exists() or answers.read_bytes().count(b"\n") < 20:
            time.sleep(0.01)  # another process; there is nothing to wait on
        live.process.kill()
        live.process.wait()
    written = answers.read_text().splitlines(keepends=True)
    kept = [json.loads(line)["id"] for line in written if line.endswith("\n")]
    assert len(kept) < rows
    with LiveServer(["demo"], tmp_path / "second.log", data) as live:
        client = openai.OpenAI(base_url=f"{live.wait_ready()}/v1", api_key="none")
        assert set(answers_of(client, batch_id, rows)) == {str(n) for n in range(rows)}
        output = client.batches.retrieve(batch_id).output_file_id
        assert output is not None
        lines = client.files.content(output).text.splitlines()
        assert [json.loads(line)["id"] for line in lines][: len(kept)] == kept
        client.close()
