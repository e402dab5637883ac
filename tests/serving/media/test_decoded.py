"""Which decoded pictures are kept, and what becomes of files that are prepared in several ways."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import numpy as np
import pytest

from sensorium.model_adapters.audio_models import audio_model
from sensorium.serving.media.decoded import DecodedPicture, DecodedPictures
from sensorium.serving.media.limits import MediaLimits
from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.media.pool import MediaWorkError, PoolOptions
from sensorium.serving.media.prepared import PreparedPicture, Recipe
from tests.serving.media.test_image_work import PADDED, file, photo

pytest.importorskip("torch", reason="an engine extra brings it")

PICTURE = DecodedPicture(["L", [8, 5]], b"x" * 40)
PNG, JPEG = b"\x89PNG", b"\xff\xd8\xff\xe0"


class Decoder:
    """Makes pictures and counts them."""

    def __init__(self, made: DecodedPicture = PICTURE) -> None:
        self.made = made
        self.count = 0

    async def __call__(self) -> DecodedPicture:
        self.count += 1
        await asyncio.sleep(0)
        return self.made


class TestWhatIsKept:
    async def test_nothing_of_a_file_that_comes_once_or_for_one_purpose(self) -> None:
        pictures, decode = DecodedPictures(100), Decoder()
        for file_digest in (b"1", b"2", b"1"):
            assert await pictures.get(PNG, file_digest, b"one way", decode) is None
        assert (decode.count, pictures.kept.bytes) == (0, 0)

    async def test_from_the_second_way_on_it_serves_every_way(self) -> None:
        pictures, decode = DecodedPictures(100), Decoder()
        assert await pictures.get(PNG, b"1", b"one way", decode) is None
        for way in (b"another", b"a third", b"one way"):
            assert await pictures.get(PNG, b"1", way, decode) is PICTURE
        assert (decode.count, pictures.kept.bytes) == (1, 40)

    async def test_many_at_once_share_it(self) -> None:
        pictures, decode = DecodedPictures(100), Decoder()
        ways = (b"one way", b"another", b"a third", b"a fourth")
        found = await asyncio.gather(*(pictures.get(PNG, b"1", way, decode) for way in ways))
        assert found == [None, PICTURE, PICTURE, PICTURE]
        assert decode.count == 1

    async def test_the_bound_holds(self) -> None:
        pictures = DecodedPictures(100)
        for name in (b"1", b"2", b"3"):
            for way in (b"one way", b"another"):
                await pictures.get(PNG, name, way, Decoder())
        assert pictures.kept.bytes == 80

    async def test_without_memory_nothing_is_decoded_for_it(self) -> None:
        pictures, decode = DecodedPictures(0), Decoder()
        for way in (b"one way", b"another"):
            assert await pictures.get(PNG, b"1", way, decode) is None
        assert decode.count == 0

    async def test_what_is_of_no_use_leaves_the_file_to_be_read(self) -> None:
        pictures, decode = DecodedPictures(100), Decoder(DecodedPicture(None, b""))
        for way in (b"one way", b"another", b"a third"):
            assert await pictures.get(PNG, b"1", way, decode) is None
        assert (decode.count, pictures.kept.bytes) == (2, 0)

    async def test_jpeg_files_are_read_again(self) -> None:
        pictures, decode = DecodedPictures(100), Decoder()
        for way in (b"one way", b"another", b"a third"):
            assert await pictures.get(JPEG, b"1", way, decode) is None
        assert decode.count == 0

    async def test_files_that_came_long_ago_are_forgotten(self) -> None:
        pictures, decode = DecodedPictures(100), Decoder()
        await pictures.get(PNG, b"first", b"one way", decode)
        for index in range(5000):
            await pictures.get(PNG, str(index).encode(), b"one way", decode)
        assert await pictures.get(PNG, b"first", b"another", decode) is None
        assert decode.count == 0


@pytest.fixture
async def pipeline() -> AsyncIterator[MediaPipeline]:
    made = MediaPipeline(options=PoolOptions(workers=1, seconds=60))
    made.start()
    yield made
    made.close()


def counts(pipeline: MediaPipeline, media: str = "image") -> dict[str, float]:
    outcomes = ("prepared", "decoded", "cached", "refused")
    name = "sensorium_media_items_total"
    registry = pipeline.measures.registry
    values = {
        outcome: registry.get_sample_value(name, {"media_type": media, "outcome": outcome})
        for outcome in outcomes
    }
    return {outcome: value for outcome, value in values.items() if value}


async def test_prepared_in_several_ways(pipeline: MediaPipeline) -> None:
    content = file(photo(93, 60))
    ways = [Recipe(), Recipe(PADDED), Recipe(mode="L"), Recipe(background=(0, 0, 0)), Recipe()]
    found = [await pipeline.picture(content, way) for way in ways]
    assert counts(pipeline) == {"prepared": 1, "decoded": 3, "cached": 1}
    assert pipeline.decoded.kept.bytes == 93 * 60 * 3
    fresh = MediaPipeline(MediaLimits(cache_bytes=0), PoolOptions(workers=1, seconds=60))
    fresh.start()
    expected = [await fresh.picture(content, way) for way in ways]
    fresh.close()
    assert counts(fresh) == {"prepared": 5}
    assert [told(one) for one in found] == [told(one) for one in expected]


def told(picture: PreparedPicture) -> tuple[object, ...]:
    return picture.digest, picture.size, picture.mode, picture.drawn, picture.pixels.tobytes()


async def test_files_that_are_no_pictures_are_refused_in_every_way(pipeline: MediaPipeline) -> None:
    for way in (Recipe(), Recipe(PADDED), Recipe(mode="L")):
        with pytest.raises(MediaWorkError, match="not an image"):
            await pipeline.picture(b"no picture", way)
    assert counts(pipeline) == {"refused": 3}


async def test_models_that_hear_at_one_rate_share_a_sound(pipeline: MediaPipeline) -> None:
    soundfile = pytest.importorskip("soundfile", reason="an engine extra brings it")
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(31 * 8000, np.float32), 8000, format="WAV")
    content = buffer.getvalue()
    heard = [await pipeline.sound(content, audio_model(n)) for n in ("ultravox", "qwen2.5-omni")]
    assert heard[0] is heard[1]
    with pytest.raises(MediaWorkError, match="Qwen2-Audio hears at most 30 s"):
        await pipeline.sound(content, audio_model("qwen2-audio"))
    assert counts(pipeline, "audio") == {"prepared": 1, "cached": 1, "refused": 1}
