"""Questions about clips, and their true answers."""

from __future__ import annotations

import random
from typing import Final

from sensorium.model_adapters.demo.clips import Clip
from sensorium.model_adapters.demo.phrasing import (
    Question,
    capital,
    choose,
    colour_word,
    with_article,
)

__all__ = ["ask_about_clip"]

TOWARDS: Final = {"right": "to the right", "left": "to the left", "up": "up", "down": "down"}
HAPPENS: Final = (
    "What happens in the {v}?",
    "What happens?",
    "What is happening?",
    "What happens to the {shape}?",
)
DESCRIBE: Final = (
    "Describe the {v}.",
    "Describe this {v}.",
    "What does the {v} show?",
    "Summarize the {v}.",
    "What do you see in the {v}?",
)
DIRECTION: Final = (
    "Which way does the {shape} move?",
    "In which direction does the {shape} move?",
    "In which direction does the shape move?",
    "Which direction does it move?",
    "Which way does it go?",
    "Where does the {shape} go?",
)
MOVER: Final = ("What moves?", "Which shape moves?", "What is moving?")
MOVES_TO: Final = ("Does the {shape} move {way}?", "Is the {shape} moving {way}?")
MOVES: Final = ("Does the {shape} move?", "Does anything move?", "Is anything moving?")
COLOUR: Final = ("What {cl} is the {shape}?", "What is the {cl} of the {shape}?")
NEW_COLOUR: Final = ("What {cl} does the {shape} become?", "What {cl} does the {shape} change to?")
CHANGES: Final = ("Does anything change {cl}?", "Does the {shape} change {cl}?")
COUNT: Final = (
    "How many shapes are there?",
    "How many objects are there?",
    "How many shapes are in the {v}?",
)


def _action(clip: Clip) -> str:
    if clip.direction is not None:
        return f"moves {TOWARDS[clip.direction]}"
    if clip.new_colour is not None:
        return f"changes from {clip.thing.colour} to {clip.new_colour}"
    plain = {"grow": "grows", "shrink": "shrinks", "appear": "appears", "disappear": "disappears"}
    return plain.get(clip.event, "does not move")


def ask_about_clip(rng: random.Random, clip: Clip) -> list[Question]:
    """Every type of question that has one clear answer for this clip."""
    thing, questions = clip.thing, list[Question]()
    words = {"v": rng.choice(("video", "clip", "video")), "cl": colour_word(rng)}
    words["shape"] = thing.shape

    def add(kind: str, forms: tuple[str, ...], answer: str, **more: str) -> None:
        questions.append(Question(kind, choose(rng, forms, **words, **more), answer))

    name = f"{thing.colour} {thing.shape}"
    subject = thing.shape if clip.event == "color" else name
    action = _action(clip)
    add("v_happen", HAPPENS, f"The {subject} {action}.")
    told = f"{with_article(subject)} {action}"
    if clip.bystander is not None:
        other = f"{clip.bystander.colour} {clip.bystander.shape}"
        told += f" next to {with_article(other)}"
    add("v_describe", DESCRIBE, f"{capital(told)} on {clip.backdrop.words}.")
    if clip.direction is not None:
        add("v_dir", DIRECTION, capital(TOWARDS[clip.direction]) + ".")
        add("v_what", MOVER, f"The {name}.")
        way = rng.choice(list(TOWARDS))
        truth = "Yes." if way == clip.direction else "No."
        add("v_yn", MOVES_TO, truth, way=TOWARDS[way])
    else:
        add("v_yn", MOVES, "No.")
    if clip.new_colour is not None:
        add("v_color2", NEW_COLOUR, capital(clip.new_colour) + ".")
    else:
        add("v_color", COLOUR, capital(thing.colour) + ".")
    add("v_yn", CHANGES, "Yes." if clip.event == "color" else "No.")
    if clip.event not in ("appear", "disappear"):
        add("v_count", COUNT, "1." if clip.bystander is None else "2.")
    return questions
