"""A video file to the frames that the model's rule chooses, in a worker.

The file is walked through without decoding: that tells how many frames it shows, and when. The
server, which knows the model, answers which of them are wanted; only those are decoded, each from
the key frame before it. Colours are FFmpeg's own, as stock vLLM's loader (OpenCV) has them.
"""

from __future__ import annotations

import bisect
import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorium.serving.media.containers import opened
from sensorium.serving.media.work import MediaRefusedError

__all__ = ["video_job"]

_Pixels = npt.NDArray[np.uint8]


class _Timeline:
    """The frames in the order in which they are shown, `times` in the stream's units.

    A stream without times is read in turn: `place` then counts. `keys` are the places that decoding
    can begin at, `size` is (width, height).
    """

    def __init__(self, shown: list[tuple[int | None, bool]], size: tuple[int, int]) -> None:
        self.size = size
        self.count = len(shown)
        self.times = sorted(at for at, _ in shown if at is not None)
        self.keys = [0]
        self._passed = 0
        if len(set(self.times)) < self.count:
            self.times = []
        else:
            found = {at for at, key in shown if key}
            keys = [place for place, at in enumerate(self.times) if at in found]
            self.keys = sorted({0, *keys})

    def begin(self, place: int) -> int:
        """Where decoding must begin for the frame at `place` to come out."""
        return self.keys[bisect.bisect_right(self.keys, place) - 1]

    def place(self, at: int | None) -> int | None:
        """Where the decoded frame of this time stands, None for one that is not shown."""
        if not self.times:
            self._passed += 1
            return self._passed - 1
        place = bisect.bisect_left(self.times, at) if at is not None else self.count
        return place if place < self.count and self.times[place] == at else None


def video_job(
    header: dict[str, Any], content: bytes, ask: Callable[[dict[str, Any]], Any]
) -> tuple[dict[str, Any], Any]:
    """Decode the chosen frames of `content`, uint8 `[frames, height, width, 3]`.

    `header` holds `max_pixels` of a frame, `max_seconds`, `max_frames` and `max_total_pixels`.
    `ask` is given `frames`, `fps` (0 where unknown) and `duration` (s), and answers indices, in any
    order. The answer's header has `shape`, `valid` (the indices that could be decoded, ascending)
    and what was asked as `source`. Raises MediaRefusedError.
    """
    began = time.perf_counter()
    with opened(content, "video") as container:
        if not container.streams.video:
            raise MediaRefusedError("it holds no video")
        stream = container.streams.video[0]
        _check_size(stream, container, header)
        timeline = _timeline(container, stream)
        fps = float(stream.average_rate or stream.guessed_rate or 0)
    if not timeline.count:
        raise MediaRefusedError("it holds no frame")
    duration = timeline.count / fps if fps else 0.0
    _check_length(duration, header)
    source = {"frames": timeline.count, "fps": fps, "duration": duration}
    wanted = sorted({min(max(0, int(index)), timeline.count - 1) for index in ask(source)})
    _check_frames(timeline, wanted, header)
    valid, pixels = _found(content, timeline, wanted)
    if not valid:
        raise MediaRefusedError("none of its frames can be decoded")
    milliseconds = {"decode": round(1000 * (time.perf_counter() - began), 3)}
    answer = {"shape": pixels.shape, "valid": valid, "source": source}
    return {**answer, "milliseconds": milliseconds}, pixels


def _check_size(stream: Any, container: Any, header: dict[str, Any]) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > header["max_pixels"]:
        raise MediaRefusedError(
            f"its frames have {width}x{height} pixels, {width * height:,} in all; "
            f"at most {header['max_pixels']:,} are taken: send it smaller"
        )
    _check_length((container.duration or 0) / 1_000_000, header)


def _check_length(seconds: float, header: dict[str, Any]) -> None:
    if seconds > header["max_seconds"]:
        raise MediaRefusedError(
            f"it is {seconds:.0f} s long; at most {header['max_seconds']:.0f} s of video are taken "
            "(`--media-max-video-seconds`): cut it into parts"
        )


def _check_frames(timeline: _Timeline, wanted: list[int], header: dict[str, Any]) -> None:
    if len(wanted) > header["max_frames"]:
        raise MediaRefusedError(
            f"{len(wanted)} of its frames were asked for; at most {header['max_frames']} are taken "
            "(`--media-max-frames`): ask for fewer (`num_frames`)"
        )
    pixels = len(wanted) * math.prod(timeline.size)
    if pixels > header["max_total_pixels"]:
        raise MediaRefusedError(
            f"{len(wanted)} of its frames have {pixels:,} pixels; "
            f"at most {header['max_total_pixels']:,} are taken: send it smaller, "
            "or ask for fewer frames (`num_frames`)"
        )


def _timeline(container: Any, stream: Any) -> _Timeline:
    """Read the packets, which costs no decoding."""
    shown = [
        (packet.pts, packet.is_keyframe)
        for packet in container.demux(stream)
        if packet.size and not packet.is_discard
    ]
    return _Timeline(shown, (stream.codec_context.width, stream.codec_context.height))


def _found(content: bytes, timeline: _Timeline, wanted: list[int]) -> tuple[list[int], _Pixels]:
    """Which of the wanted frames can be decoded, and their pixels."""
    valid: set[int] = set()
    pixels = np.empty((0, 0, 0, 3), np.uint8)
    # Some formats cannot be sought in, or only roughly: what is missing then is read in turn.
    for leaps in (True, False) if len(timeline.keys) > 1 else (False,):
        left = [place for place in wanted if place not in valid]
        if not left:
            break
        with contextlib.suppress(_SeekError), opened(content, "video") as container:
            for place, frame in _frames(container, timeline, left, leaps=leaps):
                if not valid:
                    pixels = np.empty((len(wanted), *frame.shape), np.uint8)
                pixels[bisect.bisect_left(wanted, place)] = frame
                valid.add(place)
    rows = [row for row, place in enumerate(wanted) if place in valid]
    return sorted(valid), pixels if len(rows) == len(wanted) else pixels[rows]


class _SeekError(Exception):
    """The file cannot be sought in."""


def _frames(
    container: Any, timeline: _Timeline, wanted: list[int], *, leaps: bool
) -> Iterator[tuple[int, _Pixels]]:
    """Wanted frames that come out, with their places; `leaps` leaves out what lies between."""
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # a worker is one of several
    left = wanted[::-1]
    while left:
        first = timeline.begin(left[-1]) if leaps else 0
        if first:
            _seek(container, stream, timeline.times[first])
        for place, frame in _decoded(container, stream, timeline):
            while left and left[-1] < place:
                left.pop()  # it was not among what came out
            if left and left[-1] == place:
                left.pop()
                yield place, _upright(frame, timeline.size)
            if not left or (leaps and timeline.begin(left[-1]) > max(place, first)):
                break
        else:
            return


def _seek(container: Any, stream: Any, at: int) -> None:
    import av

    try:
        container.seek(at, stream=stream)
    except av.error.FFmpegError:
        raise _SeekError from None


def _decoded(container: Any, stream: Any, timeline: _Timeline) -> Iterator[tuple[int, Any]]:
    """Frames and their places, from where the file is on."""
    import av

    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # as players do: what is spoilt is left out
        for frame in frames:
            place = timeline.place(frame.pts)
            if place is not None:
                yield place, frame


def _upright(frame: Any, size: tuple[int, int]) -> _Pixels:
    # A stream may change its size on the way; the frames of one answer have one size.
    scaled = frame.reformat(*size, format="rgb24", interpolation="BICUBIC")
    pixels: _Pixels = scaled.to_ndarray()
    turns = round(frame.rotation / 90) % 4
    return np.rot90(pixels, turns) if turns else pixels
