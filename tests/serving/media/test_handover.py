"""Files that workers hand over: what they may be, and what becomes of them."""

from __future__ import annotations

import gc
import os
import tempfile
from multiprocessing import Pipe

import pytest

from sensorium.serving.media.handover import SentFile, receive, receive_file, send


def test_a_file_is_read_after_its_writer_has_closed_it() -> None:
    ours, theirs = Pipe()
    file = tempfile.TemporaryFile()  # noqa: SIM115 (`send` closes it)
    file.write(b"0123456789")
    file.flush()
    send(theirs, {"milliseconds": {}}, file)
    assert file.closed
    assert receive(ours) == {"milliseconds": {}, "file": True}
    got = receive_file(ours)
    assert (got.size, got.read(4, 3)) == (10, b"3456")
    ours.close()
    theirs.close()


def test_one_that_becomes_shorter_is_an_error_and_no_crash() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        got = SentFile(os.dup(file.fileno()))
        file.truncate(5)
        assert got.read(5, 0) == b"01234"
        with pytest.raises(OSError, match="cut off"):
            got.read(5, 3)


def test_a_pipe_is_no_file() -> None:
    reading, writing = os.pipe()
    with pytest.raises(OSError, match="not a file"):
        SentFile(reading)
    os.close(writing)


def test_it_is_closed_when_nobody_holds_it() -> None:
    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(file.fileno())
        held = SentFile(descriptor)
        os.fstat(descriptor)
        del held
        gc.collect()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
