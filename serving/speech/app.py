"""The two routes for Whisper models; every other route goes on to vLLM's app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sensorium.serving.errors import BadRequestError
from sensorium.serving.speech.answers import answer, delta_event, done_event
from sensorium.serving.speech.recording import Decoder, Recording
from sensorium.serving.speech.request import SpeechRequest, read_request
from sensorium.serving.speech.segments import Segment
from sensorium.serving.speech.sequential import Wanted
from sensorium.serving.speech.transcriber import Transcriber
from sensorium.serving.speech.window import Task

__all__ = ["SPEECH_ROUTES", "SpeechApp"]

# Path -> the task in Whisper's own word.
SPEECH_ROUTES = {
    "/v1/audio/transcriptions": "transcribe",
    "/v1/audio/translations": "translate",
}


class SpeechApp:
    """An ASGI app. Errors are raised as `RequestError`, for the outer app to answer."""

    def __init__(self, others: ASGIApp, transcriber: Transcriber, decoder: Decoder) -> None:
        self._others = others
        self._transcriber = transcriber
        self._decoder = decoder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = SPEECH_ROUTES.get(scope.get("path", ""))
        if scope["type"] != "http" or task is None:
            await self._others(scope, receive, send)
            return
        request, data = await _read(Request(scope, receive), task)
        working = asyncio.create_task(self._answer(request, data, scope, receive, send))
        leaving = asyncio.create_task(_wait_gone(receive))
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for running in (working, leaving):
                running.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)

    async def _answer(
        self, request: SpeechRequest, data: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        wanted = self._wanted(request)
        recording = await self._decoder.decode(data, request.channel)
        del data
        pieces = self._transcriber.write(recording, wanted, request.sequential)
        if request.stream:
            await self._stream(request, pieces, recording, send)
            return
        segments = [segment async for found in pieces for segment in found]
        vocabulary = self._transcriber.whisper.vocabulary
        body, kind = answer(request, segments, recording.seconds, vocabulary)
        await Response(body, media_type=kind)(scope, receive, send)

    def _wanted(self, request: SpeechRequest) -> Wanted:
        whisper = self._transcriber.whisper
        if not whisper.multilingual:
            if request.task == "translate":
                raise BadRequestError(
                    "This model knows English only and cannot translate; use a multilingual one",
                    param="model",
                )
            if set(request.languages) - {"en"}:
                raise BadRequestError(
                    f"This model knows English only, got {', '.join(request.languages)}",
                    param="language",
                )
        unknown = set(request.languages) - set(whisper.vocabulary.languages)
        if whisper.multilingual and unknown:
            raise BadRequestError(
                f"This model does not know {', '.join(sorted(unknown))}", param="language"
            )
        prompt = whisper.vocabulary.encode(f" {request.prompt}") if request.prompt else []
        alone = request.languages[0] if len(request.languages) == 1 else None
        task = Task(request.task, alone, request.languages, request.temperatures, request.seed)
        return Wanted(task, tuple(prompt), request.context, request.words)

    async def _stream(
        self,
        request: SpeechRequest,
        pieces: AsyncIterator[list[Segment]],
        recording: Recording,
        send: Send,
    ) -> None:
        """Events as segments are finished; what was sent is never taken back."""
        vocabulary = self._transcriber.whisper.vocabulary
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        said: list[Segment] = []
        text = ""
        async for found in pieces:
            for segment in found:
                delta = segment.text if text else segment.text.lstrip()
                text += delta
                said.append(segment)
                event = delta_event(request, delta, [segment], vocabulary)
                await send({"type": "http.response.body", "body": event, "more_body": True})
        event = done_event(request, text, said, recording.seconds, vocabulary)
        await send({"type": "http.response.body", "body": event})


async def _wait_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(request: Request, task: str) -> tuple[SpeechRequest, bytes]:
    """The checked fields and the bytes of the file."""
    try:
        form = await request.form()
    except (HTTPException, MultiPartException, ValueError) as error:
        reason = getattr(error, "detail", None) or getattr(error, "message", None) or str(error)
        raise BadRequestError(f"The form cannot be read: {reason}") from None
    try:
        texts: dict[str, list[str]] = {}
        for name, value in form.multi_items():
            if isinstance(value, str):
                texts.setdefault(name, []).append(value)
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadRequestError(
                "`file` must be a sound file, sent as a part with a filename", param="file"
            )
        return read_request(task, texts), await file.read()
    finally:
        await form.close()
