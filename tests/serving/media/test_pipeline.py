"""What becomes of answers that a worker of ours would not give."""

from __future__ import annotations

from typing import Any

import pytest

from sensorium.serving.media.pipeline import MediaPipeline
from sensorium.serving.media.prepared import Recipe
from sensorium.serving.media.worker import Answer

pytest.importorskip("torch", reason="an engine extra brings it")
GOOD: dict[str, Any] = {"mode": "L", "drawn": [2, 1], "size": [2, 1], "milliseconds": {}}


def counted(pipeline: MediaPipeline) -> dict[str, float]:
    """Pictures by what became of them."""
    return {
        sample.labels["outcome"]: sample.value
        for family in pipeline.measures.registry.collect()
        for sample in family.samples
        if sample.name == "sensorium_media_items_total"
    }


@pytest.mark.parametrize(
    "said",
    [
        {"milliseconds": {"sleep": 1}},
        {"milliseconds": {"decode": "long"}},
        {"milliseconds": 3},
        {"size": 7},
        {"size": None},
        {"drawn": None},
        {"shape": [1, 2, "x"]},
        {"shape": [5, 5]},
    ],
)
async def test_one_that_makes_no_sense_is_a_medium_that_cannot_be_used(
    said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has taken a worker over must not turn requests into errors of the server."""
    pipeline = MediaPipeline()
    header = dict(GOOD)

    async def run(*args: Any) -> Answer:
        return Answer(header, b"\x00\xff")

    monkeypatch.setattr(pipeline.pool, "run", run)
    assert (await pipeline.picture(b"a", Recipe())).size == (2, 1)
    header |= said
    with pytest.raises(ValueError):
        await pipeline.picture(b"b", Recipe())
    assert counted(pipeline) == {"prepared": 1, "refused": 1}
    header.clear()
    header |= GOOD
    assert (await pipeline.picture(b"b", Recipe())).size == (2, 1)
