"""Two thousand spoilt files: each is an answer or an error with words, and every worker lives."""

from __future__ import annotations

import asyncio
import io
import random
from collections import Counter

import pytest
from PIL import Image

pytest.importorskip("torch", reason="an engine extra brings it")

from sensorium.serving.media.limits import MediaLimits
from sensorium.serving.media.pipeline import MediaPipeline, Recipe
from sensorium.serving.media.pool import MediaWorkError, PoolOptions
from tests.serving.media.test_image_work import PADDED, file, photo

FORMS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "TGA")
COUNT = 2_000


def seeds() -> list[bytes]:
    image = photo(96, 64)
    frames = [photo(48, 32, seed) for seed in range(3)]
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        *(file(image, form) for form in FORMS),
        file(image.convert("RGBA"), "PNG"),
        file(image.convert("P"), "PNG"),
        file(image.convert("CMYK"), "JPEG", exif=exif),
        file(image, "JPEG", progressive=True),
        file(image.convert("1"), "TIFF", compression="group4"),
        file(image, "TIFF", compression="jpeg"),
        file(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        file(frames[0], "GIF", save_all=True, append_images=frames[1:]),
    ]


def spoilt(dice: random.Random, files: list[bytes]) -> bytes:
    """A file with bytes changed, cut out, repeated, or joined to another file's end."""
    content = bytearray(dice.choice(files))
    kind = dice.randrange(6)
    if kind == 0:
        for _ in range(dice.randint(1, 20)):
            content[dice.randrange(len(content))] = dice.randrange(256)
    elif kind == 1:
        for _ in range(dice.randint(1, 8)):  # sizes and lengths stand at the front
            content[dice.randrange(min(64, len(content)))] = dice.choice([0, 1, 127, 128, 255])
    elif kind == 2:
        del content[dice.randrange(len(content)) :]
    elif kind == 3:
        start = dice.randrange(len(content))
        del content[start : start + dice.randint(1, 200)]
    elif kind == 4:
        start = dice.randrange(len(content))
        content[start:start] = content[start : start + dice.randint(1, 300)] * dice.randint(1, 5)
    else:
        content = content[: dice.randrange(len(content))] + dice.choice(files)[-500:]
    return bytes(content)


def test_spoilt_files_harm_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    dice = random.Random(20)
    files = seeds()
    corpus = [spoilt(dice, files) for _ in range(COUNT)]
    corpus += [b"", b"\x00", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"GIF89a"]
    pipeline = MediaPipeline(MediaLimits(cache_bytes=0), PoolOptions(workers=2, seconds=30))
    outcomes: Counter[str] = Counter()

    async def one(content: bytes) -> None:
        try:
            await pipeline.picture(content, Recipe(PADDED))
            outcomes["read"] += 1
        except MediaWorkError as error:
            assert str(error)
            outcomes["refused"] += 1

    async def scene() -> None:
        await asyncio.gather(*map(one, corpus))
        good = io.BytesIO()
        photo(64, 64).save(good, "PNG")
        assert (await pipeline.picture(good.getvalue(), Recipe(PADDED))).size == (64, 64)

    pipeline.start()
    try:
        asyncio.run(scene())
    finally:
        pipeline.close()
    with capsys.disabled():
        print(f"\n{len(corpus)} spoilt files: {dict(outcomes)}, {pipeline.pool.replaced} replaced")
    assert sum(outcomes.values()) == len(corpus)
    assert min(outcomes.values()) > 200
    assert pipeline.pool.replaced == 0
