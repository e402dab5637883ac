"""Clips: what is said to happen is what the frames show."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sensorium.model_adapters.demo.clips import DIRECTIONS, FRAMES, Clip, render_clip
from sensorium.model_adapters.demo.questions_clips import ask_about_clip


def centre(clip: Clip, index: int) -> tuple[float, float]:
    """Centre of the pixels that differ from a corner of the picture."""
    frame = clip.frames[index].astype(int)
    rows, columns = np.nonzero(np.abs(frame - frame[0, 0]).sum(-1) > 90)
    return float(columns.mean()), float(rows.mean())


def plain(event: str, seed: int) -> Clip:
    rng = random.Random(seed)
    while True:
        clip = render_clip(rng, (224, 128), event=event)
        if clip.backdrop.colour is not None and clip.bystander is None:
            return clip


def test_same_seed_same_clip() -> None:
    first, second = (render_clip(random.Random(8), (192, 128)) for _ in range(2))
    assert first.frames.shape == (FRAMES, 128, 192, 3)
    assert np.array_equal(first.frames, second.frames)


@pytest.mark.parametrize("seed", range(8))
def test_it_moves_where_it_is_said_to_move(seed: int) -> None:
    clip = plain("move", seed)
    assert clip.direction is not None
    (x0, y0), (x1, y1) = centre(clip, 0), centre(clip, -1)
    along_x, along_y = DIRECTIONS[clip.direction]
    assert (x1 - x0) * along_x + (y1 - y0) * along_y > 15
    assert abs((x1 - x0) * along_y) + abs((y1 - y0) * along_x) < 3


@pytest.mark.parametrize("event", ["color", "grow", "shrink", "appear", "disappear", "still"])
def test_answers_name_the_event(event: str) -> None:
    clip = plain(event, 5)
    asked = {q.kind: q.answer for q in ask_about_clip(random.Random(1), clip)}
    verb = {"color": "changes from", "still": "does not move"}.get(event, event + "s")
    assert verb in asked["v_happen"]
    assert verb in asked["v_describe"]
    assert ("v_color2" in asked) == (event == "color")
    changed = not np.array_equal(clip.frames[0], clip.frames[-1])
    assert changed == (event != "still")
