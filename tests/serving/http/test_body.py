"""Request bodies: what is valid JSON, and one clear sentence for what is not."""

from __future__ import annotations

import pytest

from sensorium.serving.errors import BadRequestError
from sensorium.serving.http.body import parse_json


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "\xf0\x9f\x98\x80"}',
        rb'{"a": "\ud83d\ude00"}',
        b'\xef\xbb\xbf{"a": "\xf0\x9f\x98\x80"}',
    ],
    ids=["plain", "escaped", "with-byte-order-mark"],
)
def test_characters_beyond_the_basic_plane(body: bytes) -> None:
    assert parse_json(body) == {"a": "\U0001f600"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no body"),
        (b'{"a": ', "not valid JSON: Expecting value at line 1, column 7"),
        (b"[1]", "must be a JSON object, got list"),
        (b'{"a": "\xff"}', "not valid UTF-8: invalid start byte at byte 7"),
        (rb'{"a": "\ud83d"}', r"'\ud83d', half of a surrogate pair"),
        (rb'{"a": "\ude00\ud83d"}', r"'\ude00', half of a surrogate pair"),
        (b'{"a": "\xed\xa0\xbd"}', "not valid UTF-8"),
        (b"[" * 100_000, "nests too deeply"),
    ],
)
def test_what_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_json(body)
    assert said in caught.value.message
