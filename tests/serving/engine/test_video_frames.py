"""vLLM's video loaders on frames that a media worker decoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sensorium.serving.media.prepared import PreparedVideo, VideoSource
from sensorium.serving.media.video_work import video_job
from tests.kit.videos import clip

pytestmark = pytest.mark.engine
LIMITS = {
    "max_pixels": 1 << 20,
    "max_seconds": 60,
    "max_frames": 2048,
    "max_total_pixels": 1 << 30,
}
CLIPS = {"short": clip(20, rate=8), "long": clip(250, rate=24, keys=48)}


def by_worker(frames: Any, content: bytes) -> tuple[Any, dict[str, Any]]:
    """What the media path makes of a video, the worker's part done here."""

    def reply(told: dict[str, Any]) -> list[int]:
        chosen: list[int] = frames.rule().choose(VideoSource(**told))
        return chosen

    answer, pixels = video_job(LIMITS, content, reply)
    source = VideoSource(**answer["source"])
    loaded: tuple[Any, dict[str, Any]] = frames.load(
        PreparedVideo(b"", pixels, answer["valid"], source), content
    )
    return loaded


@pytest.mark.parametrize("length", CLIPS)
@pytest.mark.parametrize("options", [{}, {"num_frames": 5}, {"fps": 1}], ids=str)
def test_every_loader_gives_what_it_gives_by_itself(length: str, options: dict[str, Any]) -> None:
    from vllm.multimodal.video import VIDEO_LOADER_REGISTRY

    import sensorium.model_adapters.engine.video_inputs  # noqa: F401 (registers ours)
    from sensorium.serving.engine.video_frames import VideoFrames

    content = CLIPS[length]
    names = [n for n in VIDEO_LOADER_REGISTRY.name2class if n != "pynvvideocodec"]
    assert {"opencv", "qwen2_vl", "qwen3_vl", "molmo2", "sensorium"} <= set(names)
    for name in names:
        frames = VideoFrames.of({"video": {"video_backend": name, **options}}, None)
        assert not frames.on_gpu
        expected, known = VIDEO_LOADER_REGISTRY.load(name).load_bytes(content, **frames.options)
        found, told = by_worker(frames, content)
        assert told == known, name
        np.testing.assert_array_equal(found, expected, err_msg=name)


def test_options_of_a_request_are_bounded() -> None:
    from sensorium.serving.engine.video_frames import VideoFrames

    for options, words in [
        ({"num_frames": 1 << 40}, "`num_frames` is .*at most 100"),
        ({"fps": 1e12}, "`fps` is 1e.*at most 240"),
        ({"fps": float("nan")}, "`fps` is nan"),
        ({"max_frames": "many"}, "`max_frames` must be a number, got 'many'"),
    ]:
        with pytest.raises(ValueError, match=words):
            VideoFrames("opencv", {"num_frames": 4, **options}).check(100)
    assert VideoFrames("opencv", {"num_frames": 4}).check(100) == 4
    assert VideoFrames("opencv", {"num_frames": -1}).check(100) == 100


def test_the_operator_alone_has_a_gpu_decode() -> None:
    from sensorium.serving.engine.video_frames import VideoFrames

    assert VideoFrames("pynvvideocodec", {"num_frames": 4}).on_gpu
    assert VideoFrames("opencv", {"num_frames": 4, "device": "cuda"}).on_gpu
