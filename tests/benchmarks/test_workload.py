"""What is sent: equal seeds send equal bytes, and media are what they claim to be."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
import soundfile
from PIL import Image

from sensorium.benchmarks.client.request import PreparedRequest
from sensorium.benchmarks.workload.folder import list_media, load_media, read_prompts
from sensorium.benchmarks.workload.media import MediaFile
from sensorium.benchmarks.workload.media_host import hosted_wire
from sensorium.benchmarks.workload.mix import (
    Mix,
    parse_frames,
    parse_mix,
    parse_seconds,
    parse_size,
)
from sensorium.benchmarks.workload.photos import FORMATS, draw_photo, encode_photo
from sensorium.benchmarks.workload.settings import WorkloadSettings
from sensorium.benchmarks.workload.sounds import SOUND_FORMATS, make_sound
from sensorium.benchmarks.workload.supply import Supply
from sensorium.benchmarks.workload.wire import DataWire, FileWire
from sensorium.benchmarks.workload.workload import Workload, media_owner
from sensorium.serving.errors import UserError

SMALL = Mix(((64, 48),), (1.0,))
WITH_IMAGE = WorkloadSettings("m", images=SMALL, input_tokens=8)


def parts(request: PreparedRequest) -> list[dict[str, Any]]:
    """The content parts of a chat request."""
    content: list[dict[str, Any]] = json.loads(request.body)["messages"][0]["content"]
    return content


class TestRequests:
    def test_equal_seeds_send_equal_bytes_in_any_order(self) -> None:
        first, second = (Workload(WITH_IMAGE, DataWire()) for _ in range(2))
        forwards = [first.request(i).body for i in range(5)]
        backwards = [second.request(i).body for i in reversed(range(5))]
        assert forwards == backwards[::-1]
        assert len(set(forwards)) == 5
        other = Workload(replace(WITH_IMAGE, seed=1), DataWire())
        assert other.request(0).body != forwards[0]

    def test_a_chat(self) -> None:
        request = Workload(replace(WITH_IMAGE, images_per_request=2), DataWire()).request(0)
        body = json.loads(request.body)
        assert (body["max_tokens"], body["temperature"], body["stream"]) == (64, 0, True)
        assert [part["type"] for part in parts(request)] == ["image_url", "image_url", "text"]
        assert [(f.kind, f.label, f.reused) for f in request.media] == [
            ("image", "64x48", False)
        ] * 2

    def test_other_endpoints(self) -> None:
        def body(endpoint: str, **more: Any) -> Any:
            settings = WorkloadSettings("m", endpoint=endpoint, **more)
            return json.loads(Workload(settings, DataWire()).request(0).body)

        assert isinstance(body("completions")["prompt"], str)
        assert set(body("embeddings")) == {"model", "input"}
        assert "messages" in body("embeddings", images=SMALL)
        assert body("completions", extra_body={"top_k": 3}, ignore_eos=True)["top_k"] == 3

    def test_a_transcription_is_a_form(self) -> None:
        settings = WorkloadSettings("m", endpoint="transcriptions", sounds=Mix((0.5,), (1.0,)))
        request = Workload(settings, DataWire()).request(0)
        boundary = request.content_type.partition("boundary=")[2]
        fields = request.body.split(f"--{boundary}".encode())
        assert any(b'name="model"\r\n\r\nm\r\n' in field for field in fields)
        sound = next(field for field in fields if b'filename="sound.wav"' in field)
        samples, rate = soundfile.read(io.BytesIO(sound.split(b"\r\n\r\n", 1)[1][:-2]))
        assert (len(samples), rate) == (8000, 16000)
        assert request.body.endswith(f"--{boundary}--\r\n".encode())

    def test_a_transcription_without_sound_is_refused(self) -> None:
        with pytest.raises(UserError, match="needs --audio"):
            Workload(WorkloadSettings("m", endpoint="transcriptions"), DataWire())

    @pytest.mark.parametrize("reuse", [0.0, 0.3, 0.8, 1.0])
    def test_the_share_that_repeats_media_is_as_told(self, reuse: float) -> None:
        owners = [media_owner(i, reuse, seed=5) for i in range(2000)]
        repeats = sum(owner != i for i, owner in enumerate(owners))
        assert repeats / 2000 == pytest.approx(reuse, abs=0.035)
        assert all(owner <= i for i, owner in enumerate(owners))

    def test_repeated_media_are_the_same_bytes_with_another_text(self) -> None:
        workload = Workload(replace(WITH_IMAGE, reuse=1.0), DataWire())
        first, second = workload.request(0), workload.request(1)
        assert parts(first)[0] == parts(second)[0]
        assert parts(first)[1] != parts(second)[1]
        assert (first.media[0].reused, second.media[0].reused) == (False, True)

    async def test_supply_makes_what_fits_and_says_what_was_late(self) -> None:
        workload = Workload(WorkloadSettings("m"), DataWire())
        supply = Supply(workload, most_bytes=len(workload.request(0).body) + 1)
        await supply.prepare(5)
        late = [(await supply.take(i))[1] for i in range(4)]
        assert late == [False, False, True, True]
        again = Supply(workload, 1 << 20)
        assert (await again.take(3))[0] == workload.request(3)


class TestMedia:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_pictures_are_of_their_size_and_format(self, kind: str) -> None:
        file = encode_photo(draw_photo((120, 90), "a"), kind)
        with Image.open(io.BytesIO(file.content)) as picture:
            assert (picture.format or "").lower() == kind
            assert picture.size == (120, 90)
        assert file.amount == pytest.approx(0.0108)

    def test_pictures_of_other_seeds_differ_in_their_pixels(self) -> None:
        pixels = {draw_photo((64, 64), str(seed)).tobytes() for seed in range(40)}
        assert len(pixels) == 40

    def test_pictures_compress_like_photographs(self) -> None:
        """Photographs of this size take 1 to 3 bits a pixel at this quality."""
        file = encode_photo(draw_photo((640, 480), "b"), "jpeg", 90)
        assert 1.0 < 8 * len(file.content) / (640 * 480) < 3.0

    def test_the_spectrum_falls_as_one_over_the_frequency(self) -> None:
        grey = np.asarray(draw_photo((256, 256), "c").convert("L"), dtype=float)
        power = np.abs(np.fft.fft2(grey - grey.mean()))
        frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(256)] * 2))
        bands = [(0.02, 0.04), (0.04, 0.08), (0.08, 0.16)]
        means = [power[(low <= frequency) & (frequency < high)].mean() for low, high in bands]
        slopes = -np.diff(np.log2(means))
        assert all(0.5 < slope < 1.8 for slope in slopes)

    @pytest.mark.parametrize("kind", SOUND_FORMATS)
    def test_sounds_are_of_their_length(self, kind: str) -> None:
        file = make_sound(1.5, kind, 1)
        samples, rate = soundfile.read(io.BytesIO(file.content))
        assert rate == 16000
        assert len(samples) / rate == pytest.approx(1.5, abs=0.08)
        assert 0.01 < np.abs(samples).max() <= 1.0

    def test_clips_have_their_frames(self) -> None:
        from sensorium.benchmarks.workload.clips import make_clip

        file = make_clip(5, (65, 48), "d")
        with av.open(io.BytesIO(file.content)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert [frame.shape for frame in frames] == [(48, 64, 3)] * 5
        assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 1
        assert file.label == "5@64x48"


class TestWires:
    PICTURE = MediaFile("image", "png", b"png bytes", 1.0, "x")

    def test_data(self) -> None:
        part = DataWire().part(self.PICTURE)
        assert (
            part["image_url"]["url"]
            == "data:image/png;base64," + base64.b64encode(b"png bytes").decode()
        )
        sound = DataWire().part(MediaFile("audio", "mpeg", b"x", 1.0, "x"))
        assert sound["input_audio"] == {"data": "eA==", "format": "mp3"}
        assert DataWire().part(MediaFile("audio", "flac", b"x", 1.0, "x"))["type"] == "audio_url"

    def test_http_is_served_by_a_process_of_its_own(self) -> None:
        with hosted_wire() as wire:
            url = wire.part(self.PICTURE)["image_url"]["url"]
            answer = httpx.get(url, trust_env=False)
            assert wire.part(self.PICTURE)["image_url"]["url"] == url
        assert answer.content == b"png bytes"
        assert answer.headers["content-type"] == "image/png"

    def test_each_file_is_uploaded_once(self) -> None:
        uploaded: list[bytes] = []

        def upload(medium: MediaFile) -> str:
            uploaded.append(medium.content)
            return f"file-{len(uploaded)}"

        wire = FileWire(upload)
        found = [wire.part(self.PICTURE) for _ in range(2)]
        assert found == [{"type": "file", "file": {"file_id": "file-1"}}] * 2
        assert uploaded == [b"png bytes"]


class TestFiles:
    def test_folders_of_real_media(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        draw_photo((64, 48), "e").save(tmp_path / "in" / "b.png")
        (tmp_path / "a.wav").write_bytes(make_sound(2.0, "wav", 1).content)
        (tmp_path / "notes.txt").write_text("no medium")
        paths = list_media([tmp_path])
        assert [path.name for path in paths] == ["a.wav", "b.png"]
        sound, picture = (load_media(path) for path in paths)
        assert (sound.kind, sound.amount) == ("audio", pytest.approx(2.0, abs=0.01))
        assert (picture.media_type, picture.label) == ("image/png", "64x48")
        settings = WorkloadSettings("m", files=paths)
        kinds = [Workload(settings, DataWire()).request(i).media[0].kind for i in range(3)]
        assert kinds == ["audio", "image", "audio"]

    def test_a_folder_without_media_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no medium in the folders"):
            list_media([tmp_path])
        with pytest.raises(UserError, match="no such folder"):
            list_media([tmp_path / "x"])

    def test_prompts(self, tmp_path: Path) -> None:
        lines = tmp_path / "p.txt"
        lines.write_text("one\n\ntwo\n")
        assert read_prompts(lines) == ("one", "two")
        rows = tmp_path / "p.jsonl"
        rows.write_text('"one"\n{"prompt": "two"}\n{"text": "three"}\n')
        assert read_prompts(rows) == ("one", "two", "three")
        rows.write_text('{"x": 1}\n')
        with pytest.raises(UserError, match="a row must be"):
            read_prompts(rows)


class TestMixes:
    def test_shares(self) -> None:
        mix = parse_mix("1280x720:3,640x480", "--images", parse_size)
        assert mix == Mix(((1280, 720), (640, 480)), (3.0, 1.0))
        assert parse_mix("8,4@64x48", "--video", parse_frames).values == (
            (8, (640, 360)),
            (4, (64, 48)),
        )

    @pytest.mark.parametrize("text", ["", "12", "0x5", "5x5:0", "5x5:-1", "5x5:a", "axb"])
    def test_what_is_no_mix_is_refused(self, text: str) -> None:
        with pytest.raises(UserError, match="--images"):
            parse_mix(text, "--images", parse_size)

    def test_what_is_no_length_is_refused(self) -> None:
        with pytest.raises(UserError, match="write seconds"):
            parse_mix("-2", "--audio", parse_seconds)
        with pytest.raises(UserError, match="write FRAMES"):
            parse_mix("x", "--video", parse_frames)
