"""Questions about two pictures sent together, and their true answers."""

from __future__ import annotations

import random
from typing import Final

from sensorium.model_adapters.demo.phrasing import Question, with_article
from sensorium.model_adapters.demo.questions_shapes import ask_about_shapes
from sensorium.model_adapters.demo.questions_text import ask_about_text
from sensorium.model_adapters.demo.scenes import ShapeScene
from sensorium.model_adapters.demo.text_scenes import TextScene

__all__ = ["ask_about_pair"]

Scene = ShapeScene | TextScene

CARRIED_OVER: Final = frozenset(
    ("color", "count", "count_shape", "shape", "exists", "background", "where")
)
NAMES: Final = ("image", "picture", "photo", "scene")
HOW_MANY: Final = (
    "How many images are there?",
    "How many pictures do you see?",
    "How many images did I send?",
)
ORDER: Final = ("first", "second")


def _placed(rng: random.Random, question: Question, place: str) -> Question:
    """A question about one picture, told which of the two is meant."""
    text = question.text
    if rng.random() < 0.6:
        text = f"{text[:-1]} in the {place}{text[-1]}"
    else:
        text = f"In the {place}, {text[0].lower()}{text[1:]}"
    return Question(f"pair_{question.kind}", text, question.answer)


def _about_shapes(rng: random.Random, scene: ShapeScene, place: str) -> list[Question]:
    asked = []
    for question in ask_about_shapes(rng, scene):
        if question.kind == "describe":
            asked.append(Question("pair_describe", f"Describe the {place}.", question.answer))
        elif question.kind in CARRIED_OVER and not any(name in question.text for name in NAMES):
            asked.append(_placed(rng, question, place))
    return asked


def _reading(rng: random.Random, scene: TextScene, place: str) -> Question:
    forms = [f"What does the {place} say?", f"Read the text in the {place}."]
    if scene.sign_colour is not None:
        forms.append(f"What does the sign in the {place} say?")
    return Question("pair_read", rng.choice(forms), scene.text)


def _which(rng: random.Random, first: Scene, second: Scene) -> list[Question]:
    answers = ("The first image.", "The second image.")
    texts = [isinstance(scene, TextScene) for scene in (first, second)]
    if texts[0] != texts[1]:
        form = rng.choice(("Which image has text?", "Which image contains text?"))
        return [Question("pair_which", form, answers[texts.index(True)])]
    if texts[0]:
        return []
    shapes = [{thing.shape for thing in scene.things} for scene in (first, second)]
    different = sorted(shapes[0] ^ shapes[1])
    if not different:
        return []
    shape = rng.choice(different)
    answer = answers[0 if shape in shapes[0] else 1]
    return [Question("pair_which", f"Which image has {with_article(shape)}?", answer)]


def ask_about_pair(
    rng: random.Random, first: Scene, second: Scene
) -> tuple[list[Question], str | None]:
    """Questions about two pictures in random order, and the printed text that occurs in answers.

    At most one of the two texts is asked for, since a sequence spells one text.
    """
    word = rng.choice(("image", "picture", "image", "photo"))
    asked = [Question("pair_count", rng.choice(HOW_MANY), "2."), *_which(rng, first, second)]
    printed: str | None = None
    for scene, order in zip((first, second), ORDER, strict=True):
        place = f"{order} {word}"
        if isinstance(scene, ShapeScene):
            about = _about_shapes(rng, scene, place)
            asked += rng.sample(about, min(3, len(about)))
        elif printed is None:
            printed = scene.text
            asked.append(_reading(rng, scene, place))
        else:
            plain = [q for q in ask_about_text(rng, scene) if q.kind == "text_color"]
            asked += [_placed(rng, question, place) for question in plain[:1]]
    rng.shuffle(asked)
    return asked, printed
