"""From a recording to its segments: the way it is gone through, and how many windows at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace

from sensorium.serving.speech.chunks import Piece, join, plan
from sensorium.serving.speech.features import FRAMES_PER_SECOND, LogMel, Samples, frames_of
from sensorium.serving.speech.pauses import shorten
from sensorium.serving.speech.recording import Recording
from sensorium.serving.speech.segments import Segment
from sensorium.serving.speech.sequential import Wanted, Writer
from sensorium.serving.speech.whisper import Whisper
from sensorium.serving.speech.window import SpeechEngine

__all__ = ["Transcriber"]

# Pieces of one recording in the engine at once.
_AT_ONCE = 8


class Transcriber:
    """Writes down recordings with one model."""

    def __init__(self, engine: SpeechEngine, whisper: Whisper) -> None:
        self.engine = engine
        self.whisper = whisper

    async def write(
        self, recording: Recording, wanted: Wanted, sequential: bool | None = None
    ) -> AsyncIterator[list[Segment]]:
        """Segments in the order of their times, a few at a time.

        `sequential` goes window after window, as the authors do; else pieces are written down side
        by side.
        """
        if sequential:
            writer = await self._writer(recording.samples)
            async for segments in writer.write(wanted, 0, frames_of(recording.samples)):
                yield segments
            return
        samples = await asyncio.to_thread(shorten, recording.samples)
        writer = await self._writer(samples)
        pieces = await asyncio.to_thread(plan, samples)
        async for segments in self._side_by_side(writer, wanted, pieces):
            for segment in segments:
                samples.put_back(segment)
            yield segments

    async def _writer(self, samples: Samples) -> Writer:
        sound = await asyncio.to_thread(LogMel, samples, self.whisper.mel_bins)
        return Writer(self.engine, self.whisper, sound)

    async def _side_by_side(
        self, writer: Writer, wanted: Wanted, pieces: list[Piece]
    ) -> AsyncIterator[list[Segment]]:
        """Pieces in parallel; one is held back until the next has been joined to it."""
        wanted = replace(wanted, context=False)
        waiting = deque(pieces)
        running: deque[tuple[Piece, asyncio.Task[list[Segment]]]] = deque()
        held: list[Segment] = []
        try:
            while waiting or running:
                # Until the language is known every piece would find out for itself.
                most = _AT_ONCE if wanted.task.language else 1
                while waiting and len(running) < most:
                    piece = waiting.popleft()
                    task = asyncio.create_task(_whole(writer, wanted, piece))
                    running.append((piece, task))
                piece, task = running.popleft()
                segments = await task
                if segments and not wanted.task.language:
                    language = segments[0].written.language
                    wanted = replace(wanted, task=replace(wanted.task, language=language))
                if piece.overlap:
                    begin = piece.first / FRAMES_PER_SECOND
                    segments = join(held, segments, self.whisper.vocabulary, begin)
                yield [segment for segment in held if segment.text]
                held = segments
            yield [segment for segment in held if segment.text]
        finally:
            for _, task in running:
                task.cancel()


async def _whole(writer: Writer, wanted: Wanted, piece: Piece) -> list[Segment]:
    found: list[Segment] = []
    async for segments in writer.write(wanted, piece.first, piece.end, piece.until):
        found += segments
    _keep_inside(found, piece.end / FRAMES_PER_SECOND)
    return found


def _keep_inside(segments: list[Segment], end: float) -> None:
    for segment in segments:
        segment.end = min(segment.end, end)
        segment.start = min(segment.start, segment.end)
