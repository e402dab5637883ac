"""Which frames of a video are taken, and where their features go."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sensorium.model_adapters.images import bilinear_crop, nearest
from sensorium.model_adapters.layouts import NEWLINE
from sensorium.model_adapters.videos import SAMPLERS, FrameLayout, Newline, Video


@pytest.mark.parametrize(
    ("rule", "total", "frames", "fps", "chosen"),
    [
        ("uniform", 9, 3, 5.0, [0, 4, 8]),
        ("uniform", 2, 4, 5.0, [0, 0, 0, 1]),
        ("per_second", 12, 32, 2.9, [0, 3, 6, 9]),
        ("per_second", 12, 3, 2.9, [0, 5, 11]),
        ("per_second", 4, 32, 0.2, [0, 1, 2, 3]),
        ("middles", 11, 2, 5.0, [2, 7]),
        ("middles", 2, 50, 5.0, [0, 0]),
        ("middles", 1, 50, 5.0, [0]),
        ("rounded_middles", 17, 4, 5.0, [2, 6, 10, 14]),
        ("strides", 35, 16, 5.0, list(range(0, 32, 2))),
        ("strides", 3, 16, 5.0, [0, 1, 2]),
    ],
)
def test_samplers(rule: str, total: int, frames: int, fps: float, chosen: list[int]) -> None:
    assert SAMPLERS[rule](total, frames, fps) == chosen


@pytest.mark.parametrize("total", [1, 2, 3, 10, 99])
@pytest.mark.parametrize("rule", SAMPLERS)
def test_a_sampler_names_frames_that_are_there(rule: str, total: int) -> None:
    chosen = SAMPLERS[rule](total, 16, 24.0)
    assert 0 < len(chosen) <= 16
    assert chosen == sorted(chosen)
    assert 0 <= chosen[0] <= chosen[-1] < total


@pytest.mark.parametrize(
    ("newline", "tokens", "ends"),
    [
        ("no_token", 2 * 4, []),
        ("one_token", 2 * 4 + 1, [8]),
        ("frame", 2 * 5, [4, 9]),
        ("grid", 2 * 6, [2, 5, 8, 11]),
    ],
)
def test_newlines(newline: Newline, tokens: int, ends: list[int]) -> None:
    layout = FrameLayout(5, Video(frames=2, pool="average", newline=newline))
    arrangement = layout.arrange(2)
    assert layout.tokens(2) == len(arrangement.rows) == tokens
    assert np.flatnonzero(arrangement.rows == NEWLINE).tolist() == ends
    kept = arrangement.rows[arrangement.rows != NEWLINE]
    assert kept.tolist() == list(range(50, 58))


def test_patches_are_averaged_over_frames_and_class_tokens_kept() -> None:
    layout = FrameLayout(2, Video(frames=3, reducer="mean_and_class"))
    found = layout.arrange(3)
    assert (found.squares, layout.parts(3), layout.tokens(3)) == (3, (4, 3), 7)
    assert found.rows.tolist() == [15, 16, 17, 18, 0, 5, 10]
    assert found.pools[0].rows[:, :, 0].tolist() == [[1 + n, 6 + n, 11 + n] for n in range(4)]


def test_frames_seen_together_are_always_so_many() -> None:
    layout = FrameLayout(2, Video(frames=3, reducer="together"))
    for frames in (1, 3, 9):
        assert (layout.pictures(frames), layout.tokens(frames)) == (3, 15)
        assert layout.arrange(frames).rows.tolist() == list(range(15))


def test_slow_frames_are_those_of_the_authors() -> None:
    torch = pytest.importorskip("torch", reason="an engine extra brings it")
    layout = FrameLayout(4, Video(frames=50, reducer="slow_fast"))
    for frames in range(1, 51):
        slow = layout.arrange(frames).pools[0].rows.reshape(10, 16)[:, 0] // 16
        expected = torch.linspace(0, frames, 11).to(torch.int32).tolist()[:10]
        assert slow.tolist() == expected


def test_a_thin_frame_is_resized_only_where_it_is_kept() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (2400, 20, 3), dtype=np.uint8)
    frame = Image.fromarray(noise)
    whole = frame.resize((64, 7680), Image.Resampling.BILINEAR).crop((4, 3812, 60, 3868))
    found = np.asarray(bilinear_crop(frame, 56)).astype(int)
    assert np.abs(found - np.asarray(whole)).max() <= 1


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 720), (1920, 1080), (854, 480), (333, 1001), (224, 224), (7, 500)]
)
def test_the_nearest_pixels_are_torchs(width: int, height: int) -> None:
    """`load_video` of Video-ChatGPT interpolates with torch, whose rounding PIL's is not."""
    torch = pytest.importorskip("torch", reason="an engine extra brings it")
    pixels = np.random.default_rng(3).integers(0, 255, (height, width, 3), dtype=np.uint8)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    wanted = torch.nn.functional.interpolate(planes, size=(224, 224))[0].permute(1, 2, 0)
    found = nearest(Image.fromarray(pixels), 224)
    assert np.array_equal(np.asarray(found), wanted.to(torch.uint8).numpy())


def test_frames_that_are_not_there_are_blank() -> None:
    layout = FrameLayout(2, Video(frames=5, reducer="means"))
    found = layout.arrange(3)
    assert list(found.rows) == [12, 13, 14, NEWLINE, NEWLINE, 15, 16, 17, 18]
    temporal, spatial = (pool.rows[..., 0].tolist() for pool in found.pools)
    assert temporal == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert spatial == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
