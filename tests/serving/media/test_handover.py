"""What workers hand over, in the common buffer, in memory of its own, or as a file."""

from __future__ import annotations

import gc
import os
import socket
import tempfile
from collections.abc import Iterator

import pytest

from sensorium.serving.media.buffer import LARGEST, SharedBuffer
from sensorium.serving.media.channel import LONGEST, Channel
from sensorium.serving.media.handover import SentFile, decoded, mapped, of_its_own, send

Ends = tuple[Channel, Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The server's and the worker's."""
    ours, theirs = Channel.pair()
    channels = Channel(ours, blocking=False), Channel(theirs, blocking=True)
    yield channels
    for channel in channels:
        channel.close()


@pytest.mark.parametrize("count", [0, 1, 700_001, LARGEST, LARGEST + 1])
def test_what_was_decoded_comes_over_whole(ends: Ends, count: int) -> None:
    ours, theirs = ends
    server = SharedBuffer.shared_by(ours)
    worker = SharedBuffer.received_from(theirs)
    content = bytes(range(251)) * (count // 251 + 1)
    send(theirs, worker, {"milliseconds": {}}, content[:count])
    header, descriptor = ours.receive()
    assert (descriptor is not None) == (count > LARGEST)
    got = decoded(server, header, descriptor)
    assert not isinstance(got, SentFile)
    assert bytes(got) == content[:count]
    send(theirs, worker, {"milliseconds": {}}, b"x" * 100)  # the next answer
    assert bytes(got) == content[:count]


@pytest.mark.parametrize("count", [None, -1, LARGEST + 1, "9", 1.5])
def test_a_worker_cannot_point_outside_the_buffer(ends: Ends, count: object) -> None:
    server = SharedBuffer.shared_by(ends[0])
    with pytest.raises(ValueError, match="of a buffer"):
        decoded(server, {"buffered": count}, None)


def test_the_buffer_cannot_be_cut_off(ends: Ends) -> None:
    ours, theirs = ends
    SharedBuffer.shared_by(ours)
    _, descriptor = theirs.receive()
    assert descriptor is not None
    for size in (0, LARGEST, 3 * LARGEST):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, size)
    os.close(descriptor)


def test_memory_that_can_still_be_changed_is_refused() -> None:
    descriptor = os.memfd_create("open", os.MFD_ALLOW_SEALING)
    os.write(descriptor, b"0123456789")
    with pytest.raises(OSError, match="not sealed"):
        mapped(descriptor)
    os.close(descriptor)


def test_memory_of_its_own_can_be_neither_written_nor_cut_off() -> None:
    descriptor = of_its_own(b"0123456789")
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 5)
    with mapped(descriptor) as memory:
        memory[0] = 120
        assert bytes(memory) == b"x123456789"
    assert os.pread(descriptor, 10, 0) == b"0123456789"
    os.close(descriptor)


def test_nothing_is_waited_for(ends: Ends) -> None:
    ours, theirs = ends
    with pytest.raises(BlockingIOError):
        ours.receive()
    theirs.close()
    with pytest.raises(EOFError):
        ours.receive()


@pytest.mark.parametrize("packet", [b"[1]", b"{", b"\xff", b" " * (LONGEST + 1)])
def test_what_is_no_message_is_an_error_and_its_file_is_closed(packet: bytes) -> None:
    end, theirs = Channel.pair()
    reading, writing = os.pipe()
    socket.send_fds(theirs, [packet], [writing])
    os.close(writing)
    with pytest.raises(ValueError):
        Channel(end, blocking=False).receive()
    assert os.read(reading, 1) == b""  # nobody holds the other end
    os.close(reading)
    end.close()
    theirs.close()


def test_of_many_files_in_one_message_one_is_taken(ends: Ends) -> None:
    ours, theirs = ends
    reading, writing = os.pipe()
    sender = socket.socket(fileno=os.dup(theirs.fileno()))
    socket.send_fds(sender, [b"{}"], [reading, writing, writing])
    os.close(writing)
    _, descriptor = ours.receive()
    assert descriptor is not None
    assert os.read(reading, 1) == b""
    for held in (descriptor, reading):
        os.close(held)
    sender.close()


def test_a_message_that_is_too_long_is_not_sent(ends: Ends) -> None:
    ours, theirs = ends
    with pytest.raises(ValueError, match=r"at most 131,072 are taken"):
        theirs.send({"valid": [10_000_000] * 20_000})
    theirs.send({"valid": [10_000_000] * 10_000})
    assert len(ours.receive()[0]["valid"]) == 10_000


def test_a_file_is_read_after_its_writer_has_closed_it(ends: Ends) -> None:
    ours, theirs = ends
    file = tempfile.TemporaryFile()  # noqa: SIM115 (`send` closes it)
    file.write(b"0123456789")
    file.flush()
    server = SharedBuffer.shared_by(ours)
    send(theirs, SharedBuffer.received_from(theirs), {"milliseconds": {}}, file)
    assert file.closed
    header, descriptor = ours.receive()
    assert header == {"milliseconds": {}, "file": True}
    got = decoded(server, header, descriptor)
    assert isinstance(got, SentFile)
    assert (got.size, got.read(4, 3)) == (10, b"3456")


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
