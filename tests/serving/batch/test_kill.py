"""kill -9 at random moments, again and again: no row lost, none twice, none torn.

SENSORIUM_KILLS=200 runs the whole campaign; a few kills run with the other tests.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kit.echo_server import EchoServer, echo_server

KILLS = int(os.environ.get("SENSORIUM_KILLS", "4"))
ROWS = 400
WINDOW = 8


def write_input(path: Path, rows: int = ROWS) -> None:
    """Rows of texts, of which every 50th is broken."""
    with path.open("w") as file:
        for number in range(rows):
            if number % 50 == 49:
                file.write("{broken\n")
                continue
            body = {"messages": [{"role": "user", "content": f"text {number}"}]}
            request = {"method": "POST", "url": "/v1/chat/completions", "body": body}
            file.write(json.dumps({"custom_id": f"id-{number}", **request}) + "\n")


def start(folder: Path, server: EchoServer, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "sensorium.serving", "batch"]
    files = [str(folder / "in.jsonl"), str(folder / "out.jsonl")]
    options = ["--url", server.url, "--max-inflight", str(WINDOW), "--quiet", *more]
    return subprocess.Popen([*command, *files, *options], stderr=subprocess.PIPE)


def lines_on_disk(folder: Path) -> int:
    paths = (folder / "out.jsonl", folder / "out.jsonl.errors.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in paths if path.exists())


def check_whole(folder: Path, rows: int = ROWS) -> None:
    """Every row is there once, with its own answer."""
    answers = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    errors = folder / "out.jsonl.errors.jsonl"
    failed = [json.loads(line) for line in errors.read_text().splitlines()]
    numbers = sorted(int(row["id"].rpartition("_")[2]) for row in [*answers, *failed])
    assert numbers == list(range(rows))
    for row in answers:
        number = row["id"].rpartition("_")[2]
        content = row["response"]["body"]["choices"][0]["message"]["content"]
        assert (row["custom_id"], content) == (f"id-{number}", f"echo text {number}")
    assert {row["error"]["code"] for row in failed} == {"invalid_json_line"}
    assert len(failed) == rows // 50


@pytest.mark.timeout(3600)
def test_killed_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(7)
    kills = jobs = most_redone = 0
    with echo_server(delay=0.01) as server:
        while kills < KILLS:
            jobs += 1
            folder = tmp_path / str(jobs)
            folder.mkdir()
            write_input(folder / "in.jsonl")
            server.answered.clear()
            killed = 0
            while True:
                process = start(folder, server)
                if kills < KILLS and kill_soon(process, folder, chance):
                    kills += 1
                    killed += 1
                    continue
                _, errors = process.communicate(timeout=120)
                assert process.returncode == 0, errors
                break
            check_whole(folder)
            # Only rows that were in flight, or on their way to the disk, were asked twice.
            redone = sum(server.answered.values()) - len(server.answered)
            most_redone = max(most_redone, redone)
            assert redone <= killed * 5 * WINDOW
    print(f"{kills} kills in {jobs} jobs of {ROWS} rows: 0 lost, 0 twice, 0 torn")


def kill_soon(process: subprocess.Popen[bytes], folder: Path, chance: random.Random) -> bool:
    """Kill the process at a random moment of its work; False when it was done before."""
    start_lines = lines_on_disk(folder)
    wanted = start_lines + chance.randrange(0, 150)
    pause = chance.random() * 0.02
    while lines_on_disk(folder) < wanted:
        if process.poll() is not None:
            process.communicate()
            return False
        time.sleep(0.002)  # watching another process; there is nothing to wait on
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def test_ctrl_c_finishes_what_is_in_flight(tmp_path: Path) -> None:
    write_input(tmp_path / "in.jsonl")
    with echo_server(delay=0.02) as server:
        process = start(tmp_path, server)
        while lines_on_disk(tmp_path) < 30:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert b"run the same command again to go on" in errors
        # Nothing that the server has answered is missing.
        written = (tmp_path / "out.jsonl").read_text().splitlines()
        assert len(written) == sum(server.answered.values()) < ROWS
        process = start(tmp_path, server)
        assert process.wait(60) == 0
        process.communicate()
        assert max(server.answered.values()) == 1
    check_whole(tmp_path)


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a disk that fills up in the middle of a line."""
    write_input(tmp_path / "in.jsonl")
    limit = "import resource, sys, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (9999, 9999))"
    main = "sys.argv[0] = 'sensorium'; runpy.run_module('sensorium.serving', run_name='__main__')"
    with echo_server() as server:
        files = [str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl")]
        command = [sys.executable, "-P", "-c", f"{limit}; {main}", "batch", *files]
        done = subprocess.run(
            [*command, "--url", server.url, "--quiet"], capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 1
        assert b"cannot write" in done.stderr
        assert b"run the same command again" in done.stderr
        text = (tmp_path / "out.jsonl").read_bytes()
        assert text.endswith(b"\n") or not text
        process = start(tmp_path, server)
        assert process.wait(60) == 0
        process.communicate()
    check_whole(tmp_path)
