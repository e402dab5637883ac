"""What one worker process of the media pool does: bytes of a file in, pixels or samples out.

Runs in a process of its own, because it parses bytes that strangers sent: what crashes or hangs
here costs one file and one process. Answers are a header in JSON and raw bytes, never a pickle, so
that a worker somebody has taken over cannot run code in the server (`channel.py`).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sensorium.serving.media.buffer import SharedBuffer
from sensorium.serving.media.channel import Channel
from sensorium.serving.media.handover import mapped, send
from sensorium.serving.memory import keep_memory

__all__ = ["MediaRefusedError", "work"]

_Ask = Callable[[dict[str, Any]], Any]
# Address space that a job may take beyond what the process has when it starts.
_GROWTH = 6 << 30
# The kernel then gives the server three times as much of a core that both want.
_NICER = 5
# As if it had all memory of the machine, the most there is (proc(5), `oom_score_adj`).
_FIRST_TO_GO = 1000


class MediaRefusedError(ValueError):
    """A file that is not taken; the message is for the client.

    `about` names what the message is about, where it is more than the file.
    """

    def __init__(self, message: str, about: str = "") -> None:
        super().__init__(message)
        self.about = about


def work(end: socket.socket) -> None:
    """Answer jobs until the server closes the connection.

    A job is a header (`kind` and its options) and the file, which lies in the buffer that both map
    or, where it is too large, in memory that comes with the header. An answer is a header, with
    `error` or what `kind` promises and `milliseconds` by stage, and what was decoded. Before it
    there may be questions: a header with `question`, which the server answers with `answer` or
    `error`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory()
    _silence()
    keep_memory()
    os.nice(_NICER)
    _be_first_to_go()
    channel = Channel(end, blocking=True)
    try:
        buffer = SharedBuffer.received_from(channel)
        while True:
            header, descriptor = channel.receive()
            # A copy: decoders may keep what they were given, and another file will lie there.
            if descriptor is None:
                content = buffer.files.take(header["buffered"])
            else:
                content = _taken(descriptor)
            send(channel, buffer, *_answer(channel, header, content))
    except (EOFError, OSError):
        return


def _taken(descriptor: int) -> bytes:
    try:
        with mapped(descriptor) as memory:
            return bytes(memory)
    finally:
        os.close(descriptor)


def _answer(channel: Channel, header: dict[str, Any], content: bytes) -> tuple[dict[str, Any], Any]:
    def ask(question: dict[str, Any]) -> Any:
        channel.send({"question": question})
        found, _ = channel.receive()
        if "error" in found:
            raise MediaRefusedError(found["error"])
        return found["answer"]

    try:
        answer, pixels = _JOBS[header["kind"]](header, content, ask)
    except MediaRefusedError as error:
        return {"error": str(error), "about": error.about}, b""
    except MemoryError:
        return {"error": "decoding it takes more memory than is allowed"}, b""
    except Exception as error:  # noqa: BLE001 (decoders raise anything for what is no image)
        return {"error": _words(error)}, b""
    return answer, pixels


def _image(header: dict[str, Any], content: bytes, ask: _Ask) -> tuple[dict[str, Any], Any]:
    from sensorium.serving.media.image_work import image_job

    return image_job(header, content)


def _decoded(header: dict[str, Any], content: bytes, ask: _Ask) -> tuple[dict[str, Any], Any]:
    from sensorium.serving.media.image_work import decode_job

    return decode_job(header, content)


def _sound(header: dict[str, Any], content: bytes, ask: _Ask) -> tuple[dict[str, Any], Any]:
    from sensorium.serving.media.sound_work import sound_job

    return sound_job(header, content)


def _video(header: dict[str, Any], content: bytes, ask: _Ask) -> tuple[dict[str, Any], Any]:
    from sensorium.serving.media.video_work import video_job

    return video_job(header, content, ask)


def _recording(header: dict[str, Any], content: bytes, ask: _Ask) -> tuple[dict[str, Any], Any]:
    from sensorium.serving.media.recording_work import recording_job

    return recording_job(header, content)


_JOBS = {
    "image": _image,
    "decoded image": _decoded,
    "audio": _sound,
    "video": _video,
    "recording": _recording,
}


def _words(error: BaseException) -> str:
    lines = str(error).splitlines()
    text = lines[0] if lines else type(error).__name__
    if "cannot identify image file" in text:
        return "not an image in a format this server reads (PNG, JPEG, WebP, GIF, BMP, TIFF ...)"
    return text[:300]


def _silence() -> None:
    """Decoders print what they think of a file: strangers must not fill the server's log."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _be_first_to_go() -> None:
    """Where memory runs out, let the kernel end this process before the server and its engines.

    It would end the largest, which are those.
    """
    with contextlib.suppress(OSError):  # a system without it, or a container that forbids it
        Path("/proc/self/oom_score_adj").write_text(str(_FIRST_TO_GO))


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _GROWTH, used + _GROWTH))
