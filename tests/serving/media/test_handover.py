"""What workers hand over, in the common buffer, in memory of its own, or as a file."""

from __future__ import annotations

import gc
import os
import tempfile
from multiprocessing import Pipe
from multiprocessing.reduction import recv_handle

import pytest

from sensorium.serving.media.buffer import LARGEST, SharedBuffer
from sensorium.serving.media.handover import SentFile, receive, receive_content, receive_file, send


@pytest.mark.parametrize("count", [0, 1, 700_001, LARGEST, LARGEST + 1])
def test_what_was_decoded_comes_over_whole(count: int) -> None:
    ours, theirs = Pipe()
    server = SharedBuffer.shared_by(ours)
    worker = SharedBuffer.received_from(theirs)
    content = bytes(range(251)) * (count // 251 + 1)
    send(theirs, worker, {"milliseconds": {}}, content[:count])
    header = receive(ours)
    assert (header["shared"] > 0) == (count > LARGEST)
    got = receive_content(ours, server, header)
    assert bytes(got) == content[:count]
    send(theirs, worker, {"milliseconds": {}}, b"x" * 100)  # the next answer
    assert bytes(got) == content[:count]
    ours.close()
    theirs.close()


@pytest.mark.parametrize("count", [None, -1, LARGEST + 1, "9", 1.5])
def test_a_worker_cannot_point_outside_the_buffer(count: object) -> None:
    ours, theirs = Pipe()
    server = SharedBuffer.shared_by(ours)
    with pytest.raises(ValueError, match="of a buffer"):
        receive_content(ours, server, {"shared": 0, "buffered": count})
    ours.close()
    theirs.close()


def test_the_buffer_cannot_be_cut_off() -> None:
    ours, theirs = Pipe()
    SharedBuffer.shared_by(ours)
    descriptor = recv_handle(theirs)
    for size in (0, LARGEST, 3 * LARGEST):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, size)
    os.close(descriptor)
    ours.close()
    theirs.close()


def test_a_file_is_read_after_its_writer_has_closed_it() -> None:
    ours, theirs = Pipe()
    file = tempfile.TemporaryFile()  # noqa: SIM115 (`send` closes it)
    file.write(b"0123456789")
    file.flush()
    send(theirs, SharedBuffer.shared_by(theirs), {"milliseconds": {}}, file)
    SharedBuffer.received_from(ours)
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
