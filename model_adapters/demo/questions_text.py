"""Questions about pictures of printed words, and their true answers."""

from __future__ import annotations

import random
from typing import Final

from sensorium.model_adapters.demo.phrasing import (
    IMAGE_WORDS,
    Question,
    capital,
    choose,
    colour_word,
    listing,
    with_article,
)
from sensorium.model_adapters.demo.text_scenes import TextScene

__all__ = ["ask_about_text"]

READ: Final = (
    "What does the text say?",
    "Read the text.",
    "What text is in the {im}?",
    "What is written?",
    "What is written in the {im}?",
    "What does it say?",
    "Read it.",
    "What is the text?",
    "OCR",
    "Transcribe the text.",
)
READ_SIGN: Final = (
    *["What does the sign say?"] * 6,
    "Read the sign.",
    "What is written on the sign?",
    "What is on the sign?",
)
TEXT_COLOUR: Final = ("What {cl} is the text?", "What is the {cl} of the text?")
SIGN_COLOUR: Final = ("What {cl} is the sign?", "What is the {cl} of the sign?")
ANY_TEXT: Final = (
    "Is there any text?",
    "Is there any text in the {im}?",
    "Does the {im} contain text?",
)
BACKGROUND: Final = ("What {cl} is the background?", "What is the {cl} of the background?")
DESCRIBE: Final = (
    "Describe the {im}.",
    "Describe this {im}.",
    "What is in the {im}?",
    "What do you see in the {im}?",
    "What does the {im} show?",
    "Describe what you see.",
    "Caption this {im}.",
    "What do you see?",
)
LENGTH: Final = (
    "How many characters does the text have?",
    "How many characters are in the text?",
)


def _reading(rng: random.Random, scene: TextScene, words: dict[str, str]) -> list[Question]:
    forms = list(READ)
    if scene.text.isalpha():
        forms.append("What word is shown?")
    elif scene.text.isdigit():
        forms.append("What number is shown?")
    if scene.sign_colour is not None:
        forms += READ_SIGN
    return [
        Question("read", form.format(**words), scene.text) for form in rng.sample(sorted(forms), 2)
    ]


def _description(scene: TextScene) -> str:
    if scene.sign_colour is not None:
        text = f"{with_article(scene.sign_colour)} sign that says {scene.text}"
    else:
        text = f"the {scene.text_colour} text {scene.text}"
    things = sorted(scene.things, key=lambda thing: thing.x)
    names = [with_article(f"{thing.colour} {thing.shape}") for thing in things]
    return f"{capital(listing([text, *names]))} on {scene.backdrop.words}."


def ask_about_text(rng: random.Random, scene: TextScene) -> list[Question]:
    """Every type of question that has one clear answer for this picture."""
    words = {"im": rng.choice(IMAGE_WORDS), "cl": colour_word(rng)}
    questions = _reading(rng, scene, words)

    def add(kind: str, forms: tuple[str, ...], answer: str, **more: str) -> None:
        questions.append(Question(kind, choose(rng, forms, **words, **more), answer))

    letters = ("What {cl} are the letters?",) if scene.text.isalpha() else ()
    add("text_color", TEXT_COLOUR + letters, capital(scene.text_colour) + ".")
    if scene.sign_colour is not None:
        add("sign_color", SIGN_COLOUR, capital(scene.sign_colour) + ".")
        add("anytext", (*ANY_TEXT, "Is there a sign?"), "Yes.")
    else:
        add("anytext", ANY_TEXT, "Yes.")
    if scene.backdrop.colour is not None:
        add("background", BACKGROUND, capital(scene.backdrop.colour) + ".")
    add("describe_text", DESCRIBE, _description(scene))
    if len(scene.text) > 1 and rng.random() < 0.3:
        add("letters", LENGTH, f"{len(scene.text)}.")
    shapes = [thing.shape for thing in scene.things]
    alone = [thing for thing in scene.things if shapes.count(thing.shape) == 1]
    if alone:
        thing = rng.choice(alone)
        forms = ("What {cl} is the {shape}?", "What is the {cl} of the {shape}?")
        add("color", forms, capital(thing.colour) + ".", shape=thing.shape)
    return questions
