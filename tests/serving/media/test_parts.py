"""Content parts: what is refused, with which field and which words; what is rewritten."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sensorium.serving.errors import BadRequestError
from sensorium.serving.media.parts import check_chat
from sensorium.serving.media.sniff import sniff_media_type

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
LIMITS = {"image": 2, "audio": 1}


def user(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def image(url: str = f"data:image/png;base64,{PNG}") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def sound(**changes: Any) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav", **changes}}


def file(data: Any, **more: Any) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, **more}}


def encoded(head: bytes) -> str:
    return base64.b64encode(head + bytes(16)).decode()


class TestTaken:
    def test_text_in_every_form(self) -> None:
        body = user({"type": "text", "text": "a"}, "b", {"type": "input_text", "text": "c"})
        body["messages"].append({"role": "assistant", "content": "d"})
        body["messages"].append({"role": "assistant", "content": None, "tool_calls": []})
        assert not check_chat(body, {}).changed

    def test_media_are_counted_and_located(self) -> None:
        checked = check_chat(user({"type": "text", "text": "?"}, image(), sound()), LIMITS)
        assert checked.counts == {"image": 1, "audio": 1}
        assert list(checked.field_of_url.values()) == [
            "messages.0.content.1.image_url.url",
            "messages.0.content.2.input_audio.data",
        ]
        assert "data:audio/wav;base64,AAAA" in checked.field_of_url

    @pytest.mark.parametrize(
        ("head", "kind", "media_type"),
        [
            (b"\x89PNG\r\n\x1a\n", "image_url", "image/png"),
            (b"RIFF\0\0\0\0WAVE", "audio_url", "audio/wav"),
            (b"\0\0\0\x20ftypisom", "video_url", "video/mp4"),
        ],
    )
    def test_files_become_media(self, head: bytes, kind: str, media_type: str) -> None:
        body = user(file(encoded(head), filename="x"))
        checked = check_chat(body, {"image": 1, "audio": 1, "video": 1})
        assert checked.changed
        part = body["messages"][0]["content"][0]
        assert part == {"type": kind, kind: {"url": f"data:{media_type};base64,{encoded(head)}"}}


class TestRefused:
    @pytest.mark.parametrize(
        ("body", "param", "words"),
        [
            ({}, "messages", "got nothing"),
            ({"messages": []}, "messages", "non-empty"),
            ({"messages": "hi"}, "messages", "got 'hi'"),
            ({"messages": [1]}, "messages.0", "int 1"),
            ({"messages": [{"content": "x"}]}, "messages.0.role", "got nothing"),
            ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "int 5"),
            (user(7), "messages.0.content.0", "int 7"),
            (user({"type": "smell"}), "messages.0.content.0.type", "got 'smell'"),
            (user({"type": ["text"]}), "messages.0.content.0.type", "a list"),
            (user({"type": "text"}), "messages.0.content.0.text", "got nothing"),
            (user({"type": "image_url"}), "messages.0.content.0.image_url", "got nothing"),
            (user(image("ftp://a/b")), "messages.0.content.0.image_url.url", "http:"),
            (user(image("data:image/png,xx")), "messages.0.content.0.image_url.url", "base64"),
            (user(image("data:image/png;base64")), "messages.0.content.0.image_url.url", "comma"),
            (user(sound(data=None)), "messages.0.content.0.input_audio", "base64"),
            (user(sound(format="tape")), "messages.0.content.0.input_audio.format", "'tape'"),
            (user({"type": "file"}), "messages.0.content.0.file", "file_data"),
            (user(file(None)), "messages.0.content.0.file.file_data", "got nothing"),
            (user(file("@@@@")), "messages.0.content.0.file.file_data", "not valid base64"),
            (
                user(file(encoded(b"%PDF"))),
                "messages.0.content.0.file.file_data",
                "application/pdf",
            ),
            (user(file(None, file_id="f")), "messages.0.content.0.file.file_data", "file_id"),
        ],
    )
    def test_names_the_field(self, body: dict[str, Any], param: str, words: str) -> None:
        with pytest.raises(BadRequestError) as raised:
            check_chat(body, LIMITS)
        assert raised.value.param == param
        assert words in raised.value.message

    def test_one_too_many(self) -> None:
        with pytest.raises(BadRequestError) as raised:
            check_chat(user(image(), image(), image()), LIMITS)
        assert raised.value.param == "messages.0.content.2"
        assert "number 3, this model takes 2" in raised.value.message
        assert "--limit-mm-per-prompt" in raised.value.message

    def test_medium_the_model_does_not_take(self) -> None:
        video = {"type": "video_url", "video_url": {"url": "https://a/b.mp4"}}
        with pytest.raises(BadRequestError, match=r"takes no video; it takes: audio, image"):
            check_chat(user(video), LIMITS)

    def test_long_values_are_cut_in_the_message(self) -> None:
        part = {"type": "image_url", "image_url": "data:" + "A" * 5000}
        with pytest.raises(BadRequestError) as raised:
            check_chat(user(part), LIMITS)
        assert len(raised.value.message) < 300


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"fLaC", "audio/flac"),
        (b"OggS", "audio/ogg"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\x1aE\xdf\xa3", "video/webm"),
        (b"hello", None),
        (b"", None),
    ],
)
def test_sniff(head: bytes, media_type: str | None) -> None:
    assert sniff_media_type(head) == media_type
