"""Pictures of shapes: the renderer repeats itself, and the answers are true of hand-made scenes."""

from __future__ import annotations

import math
import random
import re

import numpy as np
import pytest

from sensorium.model_adapters.demo.drawing import COLOURS, PAINT, SHAPES, Backdrop, Thing, contrast
from sensorium.model_adapters.demo.questions_shapes import ask_about_shapes, place_of
from sensorium.model_adapters.demo.scenes import SIZES, ShapeScene, paint_shapes, patch_labels

SIZE = (224, 128)
WHITE = Backdrop("a white background", "white", ((255, 255, 255),))


def thing(shape: str, colour: str, x: float, y: float, half: float = 18.0) -> Thing:
    return Thing(shape, colour, PAINT[colour], x, y, half)


@pytest.fixture
def scene() -> ShapeScene:
    things = (
        thing("circle", "red", 30, 25),
        thing("square", "blue", 110, 64, 28),
        thing("star", "red", 190, 100),
        thing("circle", "green", 190, 30),
    )
    pixels = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    return ShapeScene(pixels, things, WHITE, patch_labels(SIZE, things))


def answers(scene: ShapeScene, kind: str) -> dict[str, str]:
    asked = [ask_about_shapes(random.Random(seed), scene, pairs=2) for seed in range(200)]
    return {q.text: q.answer for questions in asked for q in questions if q.kind == kind}


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_same_seed_same_picture_and_questions(seed: int) -> None:
    first, second = (paint_shapes(random.Random(seed), SIZE) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.labels, second.labels)
    asked = [ask_about_shapes(random.Random(seed), picture) for picture in (first, second)]
    assert asked[0] == asked[1]


def test_shapes_keep_apart_and_stand_out() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        picture = paint_shapes(rng, rng.choice(SIZES))
        assert 1 <= len(picture.things) <= 4
        for index, one in enumerate(picture.things):
            assert min(contrast(one.rgb, rgb) for rgb in picture.backdrop.rgbs) >= 95
            for other in picture.things[:index]:
                assert math.dist((one.x, one.y), (other.x, other.y)) > one.half + other.half


def test_counts(scene: ShapeScene) -> None:
    assert set(answers(scene, "count").values()) == {"4."}
    by_shape = answers(scene, "count_shape")
    for text, answer in by_shape.items():
        expected = 2 if "circle" in text else 1 if "square" in text or "stars" in text else 0
        assert answer == f"{expected}.", text
    for text, answer in answers(scene, "count_color").items():
        expected = 2 if "red" in text else 1 if "blue" in text or "green" in text else 0
        assert answer == f"{expected}.", text


def test_colour_and_shape_are_asked_only_where_there_is_one_answer(scene: ShapeScene) -> None:
    for text, answer in answers(scene, "color").items():
        assert ("square" in text and answer == "Blue.") or ("star" in text and answer == "Red.")
    for text, answer in answers(scene, "shape").items():
        assert ("blue" in text and answer == "A square.") or (
            "green" in text and answer == "A circle."
        )


def test_relations(scene: ShapeScene) -> None:
    related = answers(scene, "relation")
    assert related
    for text, answer in related.items():
        square_first = text.index("square") < text.index("star")
        before = "left" in text or "above" in text
        assert answer == ("Yes." if square_first == before else "No."), text


def test_existence(scene: ShapeScene) -> None:
    pairs = {(t.colour, t.shape) for t in scene.things}
    for text, answer in answers(scene, "exists").items():
        colours = [name for name in COLOURS if name in text]
        shapes = [name for name in SHAPES if name in text]
        found = any(
            (not colours or colour in colours) and (not shapes or shape in shapes)
            for colour, shape in pairs
        )
        assert answer == ("Yes." if found else "No."), text


def test_description_goes_from_left_to_right(scene: ShapeScene) -> None:
    (description,) = set(answers(scene, "describe").values())
    assert re.fullmatch(
        r"A red circle, a blue square, a .+ and a .+ on a white background\.", description
    )


def test_places() -> None:
    assert place_of(thing("circle", "red", 30, 20), SIZE) == "top left"
    assert place_of(thing("circle", "red", 112, 64), SIZE) == "center"
    assert place_of(thing("circle", "red", 200, 64), SIZE) == "right"
    assert place_of(thing("circle", "red", 0.36 * 224, 64), SIZE) is None


def test_patch_labels_name_what_covers_the_patch(scene: ShapeScene) -> None:
    assert scene.labels.shape == (3, 8, 14)
    row, column = 64 // 16, 110 // 16
    assert scene.labels[0, row, column] == SHAPES.index("square") + 1
    assert scene.labels[1, row, column] == COLOURS.index("blue") + 1
    assert scene.labels[0, 7, 0] == 0
