"""Spoilt files of every format: each is an answer or an error with words; all workers live."""

from __future__ import annotations

import asyncio
import os

import pytest

pytest.importorskip("torch", reason="an engine extra brings it")

from tests.kit.fuzz import SpoiltFile, seeds, spoil_files, tell
from tests.serving.media.test_image_work import PADDED

# `make fuzz` asks for more.
COUNT = int(os.environ.get("SENSORIUM_FUZZ", "2400"))
BARE = (b"", b"\x00", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"GIF89a", b"RIFF")


@pytest.mark.timeout(1800)
def test_spoilt_files_harm_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    corpus = spoil_files(COUNT)
    kinds = ("image", "audio", "video")
    corpus += [SpoiltFile(kind, "bare", content) for kind in kinds for content in BARE]
    report = asyncio.run(tell(corpus, PADDED))
    with capsys.disabled():
        print("", *report.lines(), sep="\n")
    assert report.outcomes.total() == len(corpus)
    assert report.replaced == 0
    assert {form for _, form, _ in report.outcomes} == {file.form for file in seeds()} | {"bare"}
    for kind in kinds:
        assert report.count("read", kind) > 100
        assert report.count("refused", kind) > 100
