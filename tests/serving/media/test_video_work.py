"""What a worker makes of video files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sensorium.serving.media.video_work import video_job
from sensorium.serving.media.work import MediaRefusedError

pytest.importorskip("av", reason="an engine extra brings it")

from tests.kit.videos import clip, number_of

LIMITS = {
    "max_pixels": 1 << 20,
    "max_seconds": 60,
    "max_frames": 100,
    "max_total_pixels": 1 << 30,
}
CLIP = clip()


def choosing(*indices: int) -> Callable[[dict[str, Any]], list[int]]:
    return lambda source: list(indices)


def decoded(content: bytes, *indices: int) -> tuple[dict[str, Any], list[int]]:
    """The answer's header, and what each frame shows."""
    answer, pixels = video_job(LIMITS, content, choosing(*indices))
    assert pixels.shape == answer["shape"]
    return answer, [number_of(frame) for frame in pixels]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"keys": 100},
        {"keys": 1},
        {"form": "matroska"},
        {"form": "webm", "codec": "libvpx-vp9"},
        {"form": "avi", "codec": "mpeg4"},
        {"form": "mpegts"},  # cannot be sought in exactly
        {"form": "h264"},  # has no times
        {"form": "mp4", "codec": "libx264", "size": (66, 50)},
    ],
    ids=lambda options: "-".join(map(str, options.values())) or "mp4",
)
@pytest.mark.parametrize("wanted", [(0, 13, 26, 39), (31, 3, 3, 30), (39,), tuple(range(40))])
def test_the_frames_asked_for_come_out(options: dict[str, Any], wanted: tuple[int, ...]) -> None:
    answer, shown = decoded(clip(**options), *wanted)
    assert shown == answer["valid"] == sorted(set(wanted))


def test_the_rule_is_told_of_the_video() -> None:
    told: list[dict[str, Any]] = []

    def rule(source: dict[str, Any]) -> list[int]:
        told.append(source)
        return [0]

    video_job(LIMITS, CLIP, rule)
    assert told == [{"frames": 40, "fps": 8.0, "duration": 5.0}]


@pytest.mark.parametrize(("rotation", "shape"), [(0, (48, 64)), (90, (64, 48)), (180, (48, 64))])
def test_frames_are_upright(rotation: int, shape: tuple[int, int]) -> None:
    answer, pixels = video_job(LIMITS, clip(rotation=rotation), choosing(7))
    assert answer["shape"] == (1, *shape, 3)
    dark_below = pixels[0][0].mean() > pixels[0][-1].mean()
    assert dark_below == (rotation == 0) or rotation == 90


def test_only_what_is_needed_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    from sensorium.serving.media import video_work

    seen: list[int | None] = []
    place = video_work._Timeline.place

    def noted(self: Any, at: int | None) -> int | None:
        seen.append(at)
        return place(self, at)

    monkeypatch.setattr(video_work._Timeline, "place", noted)
    video_job(LIMITS, clip(frames=200, keys=10), choosing(5, 195))
    assert 12 <= len(seen) <= 20


def test_spoilt_frames_are_left_out() -> None:
    content = bytearray(clip(keys=4))
    middle = content.index(b"mdat") + len(content) // 3
    content[middle : middle + 200] = b"\x55" * 200
    answer, pixels = video_job(LIMITS, bytes(content), choosing(*range(40)))
    assert 20 < len(answer["valid"]) <= 40
    assert len(pixels) == len(answer["valid"])


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"max_pixels": 3071}, "64x48 pixels, 3,072 in all; at most 3,071"),
        ({"max_seconds": 4}, "5 s long; at most 4 s .*--media-max-video-seconds"),
        ({"max_frames": 2}, "3 of its frames were asked for; at most 2 .*--media-max-frames"),
        ({"max_total_pixels": 9215}, "3 of its frames have 9,216 pixels; at most 9,215"),
    ],
)
def test_limits(limit: dict[str, int], words: str) -> None:
    with pytest.raises(MediaRefusedError, match=words):
        video_job({**LIMITS, **limit}, CLIP, choosing(0, 1, 2))


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    other = tmp_path / "other.ts"
    other.write_bytes(clip(form="mpegts"))
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n"
    for form in (f"{head}{other}\n#EXT-X-ENDLIST\n", f"ffconcat version 1.0\nfile {other}\n"):
        with pytest.raises(MediaRefusedError, match="not a video that this server reads"):
            video_job(LIMITS, form.encode(), choosing(0))


@pytest.mark.parametrize(
    "content",
    [b"", b"no video", CLIP[:100], CLIP[: len(CLIP) * 2 // 3], b"\x1aE\xdf\xa3" * 30],
    ids=["empty", "text", "head", "cut", "magic"],
)
def test_what_is_no_video_is_refused(content: bytes) -> None:
    with pytest.raises(MediaRefusedError, match="not a video"):
        video_job(LIMITS, content, choosing(0))
