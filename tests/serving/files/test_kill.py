"""kill -9 of a whole server in the middle of batches: they go on by themselves, rows are kept.

SENSORIUM_KILLS=100 runs the campaign; a few kills run with the other tests.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.serving.files.conftest import CHAT, jsonl, row

KILLS = int(os.environ.get("SENSORIUM_KILLS", "3"))
ROWS = 300
SCRIPT = Path(__file__).resolve().parents[2] / "kit" / "fake_server.py"


@contextmanager
def live(folder: Path) -> Iterator[httpx.Client]:
    """A server in a process, killed at the end of the block."""
    command = [sys.executable, "-P", str(SCRIPT), str(folder), "0.02"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with httpx.Client(base_url=url, trust_env=False) as client:
            while True:
                try:
                    client.get("/v1/models")
                    break
                except httpx.ConnectError:
                    time.sleep(0.01)  # another process; there is nothing to wait on
            yield client
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(3600)
def test_killed_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(3)
    kills = jobs = 0
    while kills < KILLS:
        jobs += 1
        folder = tmp_path / str(jobs)
        with live(folder) as client:
            content = jsonl(*(row(f"c{n}", f"text {n}") for n in range(ROWS)))
            uploaded = client.post(
                "/v1/files", data={"purpose": "batch"}, files={"file": ("in", content)}
            ).json()
            request = {"endpoint": CHAT, "completion_window": "24h"}
            batch = client.post(
                "/v1/batches", json={"input_file_id": uploaded["id"], **request}
            ).json()
            time.sleep(chance.random() * 0.6)
        kills += 1
        seen = 0
        while True:
            with live(folder) as client:
                if kills < KILLS and chance.random() < 0.7:
                    time.sleep(chance.random() * 0.5)
                    counts = client.get(f"/v1/batches/{batch['id']}").json()["request_counts"]
                    assert counts["completed"] >= seen
                    seen = counts["completed"]
                    kills += 1
                    continue
                check(client, batch["id"])
            break
    print(f"{kills} kills of a server in {jobs} batches of {ROWS} rows: 0 lost, 0 twice, 0 torn")


def check(client: httpx.Client, batch_id: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        batch = client.get(f"/v1/batches/{batch_id}").json()
        if batch["status"] not in {"validating", "in_progress", "finalizing"}:
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)  # another process; there is nothing to wait on
    assert batch["status"] == "completed", batch
    assert batch["request_counts"] == {"total": ROWS, "completed": ROWS, "failed": 0}
    text = client.get(f"/v1/files/{batch['output_file_id']}/content").text
    rows = [json.loads(line) for line in text.splitlines()]
    assert sorted(row["custom_id"] for row in rows) == sorted(f"c{n}" for n in range(ROWS))
    for line in rows:
        content = line["response"]["body"]["choices"][0]["message"]["content"]
        assert content == f"echo text {line['custom_id'][1:]}"
