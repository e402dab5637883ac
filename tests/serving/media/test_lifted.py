"""Long base64 texts of a body: taken out, wherever the body is cut, and put back."""

from __future__ import annotations

import base64
import itertools
import json
import os
import random

import pytest

from sensorium.serving.media.lifted import LIFTED, Lifter, Medium, keep, lifted
from sensorium.serving.media.parts import only_media

PICTURE = base64.b64encode(os.urandom(9000))
SOUND = base64.b64encode(os.urandom(6001))


def body(indent: int | None = None) -> bytes:
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE.decode()}"}},
        {"type": "input_audio", "input_audio": {"data": SOUND.decode(), "format": "wav"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": 'Say "base64," \\ twice: base64,'},
    ]
    return json.dumps({"messages": [{"role": "user", "content": parts}]}, indent=indent).encode()


def fed(content: bytes, *cuts: int) -> tuple[bytes, Lifter]:
    lifter = Lifter()
    edges = [0, *sorted(cuts), len(content)]
    for start, end in itertools.pairwise(edges):
        lifter.feed(content[start:end])
    return lifter.finish(), lifter


@pytest.mark.parametrize("indent", [None, 2])
def test_wherever_the_body_is_cut(indent: int | None) -> None:
    content = body(indent)
    dice = random.Random(3)
    near = [content.index(mark) + step for mark in (b"base64,", b'"data"') for step in range(14)]
    for cuts in [(), *((place,) for place in near), *(dice.sample(range(1, 9000), 9),) * 5]:
        rest, lifter = fed(content, *cuts)
        assert [b"".join(medium.pieces) for medium in lifter.media.values()] == [PICTURE, SOUND]
        assert len(rest) < 1500
        json.loads(rest)
        assert lifter.restored(rest) == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"a": 1}',
        b'{"url": "data:image/png;base64,' + b"A" * 8000,  # cut off
        b'{"url": "data:image/png;base64,' + b"A" * 8000 + b'\\/AA"}',  # escaped
        b'{"url": "data:image/png;base64,' + b"A" * 100 + b'"}',  # short
    ],
)
def test_what_stays(content: bytes) -> None:
    rest, lifter = fed(content, *range(0, len(content), 1000))
    assert (rest, lifter.media) == (content, {})


def test_no_more_than_so_many_are_looked_for() -> None:
    content = b'"base64,"' * 100_000
    rest, lifter = fed(content, *range(0, len(content), 65536))
    assert (rest, lifter.media) == (content, {})


def test_content() -> None:
    raw = os.urandom((3 << 20) + 1)
    text = base64.b64encode(raw)
    for cuts in ([], [1], [2, 7, 1 << 20], [5, (2 << 20) + 3]):
        edges = [0, *cuts, len(text)]
        medium = Medium([text[start:end] for start, end in itertools.pairwise(edges)])
        assert bytes(medium.content()) == raw
    assert bytes(Medium([raw], encoded=False).content()) == raw
    for spoilt in (b"!" * 5000, text[:-1], b"A" * 4001):
        with pytest.raises(ValueError, match=r"."):
            Medium([spoilt]).content()


def test_stored_bytes_are_kept_beside_the_body_too() -> None:
    token = LIFTED.set({})
    try:
        assert keep(b"few") == "ZmV3"
        medium = lifted(keep(b"many" * 5000))
        assert medium is not None
        assert bytes(medium.content()) == b"many" * 5000
    finally:
        LIFTED.reset(token)


@pytest.mark.parametrize(
    ("part", "only"),
    [
        ({"type": "image_url", "image_url": {"url": "data:a;base64,NAME"}}, True),
        ({"type": "input_audio", "input_audio": {"data": "NAME", "format": "wav"}}, True),
        ({"type": "file", "file": {"file_data": "NAME"}}, True),
        ({"type": "text", "text": "data:a;base64,NAME"}, False),
        ({"type": "text", "text": "see", "data": "NAME"}, False),
        ({"type": ["image_url"]}, False),
        ("NAME", False),
    ],
)
def test_a_text_that_was_taken_out_is_noticed(part: object, only: bool) -> None:
    assert only_media({"messages": [{"role": "user", "content": [part]}]}, {"NAME"}) is only
    assert only_media({"messages": [{"role": "user", "content": [part]}]}, {})


def test_names_are_those_of_the_request() -> None:
    _, lifter = fed(body())
    (name, *_) = lifter.media
    assert lifted(name) is None
    token = LIFTED.set(lifter.media)
    try:
        assert lifted(name) is lifter.media[name]
        assert lifted("lifted-0-0") is None
    finally:
        LIFTED.reset(token)
