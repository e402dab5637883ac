"""Pictures of words: repeatable, readable, and described truly."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sensorium.model_adapters.demo import fonts
from sensorium.model_adapters.demo.questions_text import ask_about_text
from sensorium.model_adapters.demo.scenes import CHARACTERS
from sensorium.model_adapters.demo.text_scenes import TextScene, paint_text, random_text

FACES = (fonts.BUILT_IN,)
SIZE = (224, 128)


def picture(seed: int, text: str | None = None) -> TextScene:
    return paint_text(random.Random(seed), SIZE, FACES, text=text)


def test_same_seed_same_picture() -> None:
    assert np.array_equal(picture(1).pixels, picture(1).pixels)
    assert not np.array_equal(picture(1).pixels, picture(2).pixels)


def test_words_are_capitals_and_digits_of_at_most_six() -> None:
    for seed in range(300):
        text = random_text(random.Random(seed), 224)
        assert 1 <= len(text) <= 6
        assert set(text) <= set(CHARACTERS)


@pytest.mark.parametrize("seed", range(20))
def test_answers_are_true(seed: int) -> None:
    scene = picture(seed, "ZOO")
    for question in ask_about_text(random.Random(seed), scene):
        if question.kind == "read":
            assert question.answer == "ZOO"
        elif question.kind == "letters":
            assert question.answer == "3."
        elif question.kind == "anytext":
            assert question.answer == "Yes."
        elif question.kind == "describe_text":
            assert "ZOO" in question.answer
            assert question.answer.endswith(f"on {scene.backdrop.words}.")
        elif question.kind == "sign_color":
            assert question.answer.lower() == f"{scene.sign_colour}."


def test_every_character_of_the_word_is_labelled() -> None:
    labels = set(picture(3, "HAT5").labels[2].ravel().tolist()) - {0}
    assert labels == {CHARACTERS.index(character) + 1 for character in "HAT5"}


def test_held_out_fonts_are_not_trained() -> None:
    families = {name.split("-")[0] for name in fonts.TRAINING}
    assert not families & {name.split("-")[0] for name in fonts.HELD_OUT}


def test_missing_fonts_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("SENSORIUM_DEMO_FONTS", str(tmp_path))
    fonts._installed.cache_clear()
    try:
        assert fonts.training_fonts() == [fonts.BUILT_IN]
        with pytest.raises(fonts.FontMissingError, match="fonts-cantarell"):
            fonts.evaluation_fonts()
    finally:
        fonts._installed.cache_clear()
