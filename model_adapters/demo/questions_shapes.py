"""Questions about pictures of shapes, and their true answers."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sensorium.model_adapters.demo.drawing import COLOURS, SHAPES, Thing
from sensorium.model_adapters.demo.phrasing import (
    IMAGE_WORDS,
    Question,
    capital,
    choose,
    colour_word,
    listing,
    plural,
    with_article,
)
from sensorium.model_adapters.demo.scenes import ShapeScene

__all__ = ["ask_about_shapes", "place_of"]

COLOUR_OF: Final = (
    "What {cl} is the {shape}?",
    "What is the {cl} of the {shape}?",
    "Which {cl} is the {shape}?",
    "What {cl} is the {shape} in the {im}?",
    "Tell me the {cl} of the {shape}.",
    "The {shape} is what {cl}?",
)
SHAPE_OF: Final = (
    "What shape is {c}?",
    "What is the {c} shape?",
    "What shape is the {c} object?",
    "What is the {c} object?",
    "Which shape is {c}?",
    "What {c} shape do you see?",
)
ONLY_SHAPE: Final = (
    "What shape is this?",
    "What shape is in the {im}?",
    "What shape do you see?",
    "Which shape is shown?",
    "What is this?",
    "What is in the {im}?",
    "What do you see?",
)
ONLY_COLOUR: Final = (
    "What {cl} is it?",
    "What {cl} is the shape?",
    "What is the {cl} of the shape?",
    "What {cl} is this?",
    "What {cl} is the object?",
)
COUNT: Final = (
    "How many shapes are there?",
    "How many shapes are in the {im}?",
    "How many objects are there?",
    "How many shapes do you see?",
    "Count the shapes.",
    "How many shapes can you see?",
    "How many things are there?",
    "Count the objects.",
)
COUNT_SHAPE: Final = (
    "How many {shapes} are there?",
    "How many {shapes} are in the {im}?",
    "How many {shapes} do you see?",
    "Count the {shapes}.",
    "How many {shapes} can you see?",
)
COUNT_COLOUR: Final = (
    "How many {c} shapes are there?",
    "How many shapes are {c}?",
    "How many {c} objects are there?",
    "How many {c} things do you see?",
    "Count the {c} shapes.",
)
EXISTS_BOTH: Final = (
    "Is there {thing}?",
    "Do you see {thing}?",
    "Is there {thing} in the {im}?",
    "Can you see {thing}?",
    "Does the {im} contain {thing}?",
)
EXISTS_SHAPE: Final = (
    "Is there {thing}?",
    "Do you see {thing}?",
    "Are there any {shapes}?",
    "Is there {thing} in the {im}?",
)
EXISTS_COLOUR: Final = (
    "Is anything {c}?",
    "Are there any {c} shapes?",
    "Is there something {c}?",
    "Do you see anything {c}?",
)
WHERE: Final = (
    "Where is the {shape}?",
    "Where is the {shape} in the {im}?",
    "In which part of the {im} is the {shape}?",
    "What is the position of the {shape}?",
)
BESIDE: Final = ("Is the {a} to the {side} of the {b}?", "Is the {a} {side} of the {b}?")
OVER: Final = ("Is the {a} {side} the {b}?",)
SIZE: Final = (
    "Which is {size}, the {a} or the {b}?",
    "Is the {a} or the {b} {size}?",
    "What is {size}, the {a} or the {b}?",
)
EXTREMES: Final = {
    "leftmost": (
        "What is the leftmost shape?",
        "Which shape is furthest to the left?",
        "What is on the far left?",
    ),
    "rightmost": (
        "What is the rightmost shape?",
        "Which shape is furthest to the right?",
        "What is on the far right?",
    ),
    "top": ("What is the highest shape?", "Which shape is at the top?"),
    "bottom": ("What is the lowest shape?", "Which shape is at the bottom?"),
    "biggest": (
        "What is the biggest shape?",
        "What is the largest shape?",
        "Which shape is the biggest?",
    ),
    "smallest": ("What is the smallest shape?", "Which shape is the smallest?"),
}
BACKGROUND: Final = (
    "What {cl} is the background?",
    "What is the {cl} of the background?",
    "What is the background {cl}?",
)
BACKGROUND_KIND: Final = (
    "What is the background like?",
    "Describe the background.",
    "What kind of background is it?",
)
DESCRIBE: Final = (
    "Describe the {im}.",
    "Describe this {im}.",
    "What does the {im} show?",
    "Describe what you see.",
    "Caption this {im}.",
)
DESCRIBE_SEVERAL: Final = (
    *DESCRIBE,
    "What is in the {im}?",
    "What do you see in the {im}?",
    "What's in this {im}?",
)
LIST: Final = (
    "List the shapes.",
    "What shapes are in the {im}?",
    "Which shapes do you see?",
    "What shapes are there?",
    "Name the shapes from left to right.",
    "List the shapes from left to right.",
)
ANY_TEXT: Final = (
    "Is there any text?",
    "Is there any text in the {im}?",
    "Does the {im} contain text?",
)

EDGES: Final = (0.36, 0.64)
"""Shares of the width and height where left, middle and right (top, middle, bottom) meet."""


def place_of(thing: Thing, size: tuple[int, int]) -> str | None:
    """Which ninth of the picture holds the centre; None where it is too near a border to say."""
    across, down = thing.x / size[0], thing.y / size[1]
    if any(abs(share - edge) <= 0.035 for share in (across, down) for edge in EDGES):
        return None
    column = "left" if across < EDGES[0] else "right" if across > EDGES[1] else ""
    row = "top" if down < EDGES[0] else "bottom" if down > EDGES[1] else ""
    return f"{row} {column}".strip() or "center"


def _yes(truth: bool) -> str:
    return "Yes." if truth else "No."


def _name(thing: Thing) -> str:
    return f"{thing.colour} {thing.shape}"


class _Asker:
    """Collects questions about one picture; `unique` shapes are those that occur once."""

    def __init__(self, rng: random.Random, scene: ShapeScene) -> None:
        self.rng, self.scene, self.things = rng, scene, scene.things
        self.size = (scene.width, scene.height)
        self.words = {"im": rng.choice(IMAGE_WORDS), "cl": colour_word(rng)}
        self.by_shape: dict[str, list[Thing]] = defaultdict(list)
        self.by_colour: dict[str, list[Thing]] = defaultdict(list)
        for thing in self.things:
            self.by_shape[thing.shape].append(thing)
            self.by_colour[thing.colour].append(thing)
        self.unique = [group[0] for group in self.by_shape.values() if len(group) == 1]
        self.questions: list[Question] = []

    def add(self, kind: str, forms: Sequence[str], answer: str, **words: str) -> None:
        text = choose(self.rng, forms, **self.words, **words)
        self.questions.append(Question(kind, text, answer))

    def names(self) -> None:
        rng = self.rng
        if self.unique:
            thing = rng.choice(self.unique)
            self.add("color", COLOUR_OF, capital(thing.colour) + ".", shape=thing.shape)
        once = [group[0] for group in self.by_colour.values() if len(group) == 1]
        if once:
            thing = rng.choice(once)
            answer = capital(with_article(thing.shape)) + "."
            self.add("shape", SHAPE_OF, answer, c=thing.colour)
        if len(self.things) == 1:
            thing = self.things[0]
            self.add("shape", ONLY_SHAPE, capital(with_article(_name(thing))) + ".")
            self.add("color", ONLY_COLOUR, capital(thing.colour) + ".")

    def counts(self) -> None:
        rng = self.rng
        self.add("count", COUNT, f"{len(self.things)}.")
        shape = rng.choice(list(self.by_shape)) if rng.random() < 0.75 else rng.choice(SHAPES)
        number = len(self.by_shape.get(shape, ()))
        self.add("count_shape", COUNT_SHAPE, f"{number}.", shapes=plural(shape))
        colour = rng.choice(list(self.by_colour)) if rng.random() < 0.75 else rng.choice(COLOURS)
        number = len(self.by_colour.get(colour, ()))
        self.add("count_color", COUNT_COLOUR, f"{number}.", c=colour)

    def existence(self) -> None:
        rng, kind = self.rng, self.rng.random()
        if rng.random() < 0.5:
            thing = rng.choice(self.things)
            shape, colour = thing.shape, thing.colour
        else:
            shape = rng.choice([*self.by_shape, rng.choice(SHAPES)])
            colour = rng.choice([*self.by_colour, rng.choice(COLOURS)])
        if kind < 0.5:
            found = any(t.shape == shape and t.colour == colour for t in self.things)
            name = with_article(f"{colour} {shape}")
            self.add("exists", EXISTS_BOTH, _yes(found), thing=name)
        elif kind < 0.75:
            found = shape in self.by_shape
            words = {"thing": with_article(shape), "shapes": plural(shape)}
            self.add("exists", EXISTS_SHAPE, _yes(found), **words)
        else:
            # "anything black" would be true of a black background: name the shapes then.
            forms = EXISTS_COLOUR if self.scene.backdrop.colour != colour else EXISTS_COLOUR[1:2]
            self.add("exists", forms, _yes(colour in self.by_colour), c=colour)

    def places(self) -> None:
        placed = [(thing, place_of(thing, self.size)) for thing in self.unique]
        clear = [(thing, place) for thing, place in placed if place is not None]
        if clear:
            thing, place = self.rng.choice(clear)
            self.add("where", WHERE, capital(place) + ".", shape=thing.shape)

    def relations(self, pairs: int) -> None:
        rng = self.rng
        for _ in range(pairs if len(self.unique) >= 2 else 0):
            one, other = rng.sample(self.unique, 2)
            names = {"a": one.shape, "b": other.shape}
            if abs(one.x - other.x) > self.size[0] * 0.09:
                side = rng.choice(("left", "right"))
                truth = (one.x < other.x) == (side == "left")
                self.add("relation", BESIDE, _yes(truth), side=side, **names)
            if abs(one.y - other.y) > self.size[1] * 0.13:
                side = rng.choice(("above", "below"))
                truth = (one.y < other.y) == (side == "above")
                self.add("relation", OVER, _yes(truth), side=side, **names)

    def sizes(self) -> None:
        rng = self.rng
        if len(self.unique) < 2:
            return
        one, other = rng.sample(self.unique, 2)
        small, big = sorted((one, other), key=lambda thing: thing.half)
        if big.half <= 1.4 * small.half:
            return
        size = rng.choice(("bigger", "larger", "smaller"))
        answer = f"The {(small if size == 'smaller' else big).shape}."
        self.add("size", SIZE, answer, size=size, a=one.shape, b=other.shape)

    def extremes(self) -> None:
        if len(self.things) < 2:
            return
        kind = self.rng.choice(list(EXTREMES))
        last = kind in ("rightmost", "bottom", "biggest")
        if kind in ("leftmost", "rightmost"):
            values, span, least = [t.x for t in self.things], float(self.size[0]), 0.07
        elif kind in ("top", "bottom"):
            values, span, least = [t.y for t in self.things], float(self.size[1]), 0.07
        else:
            values, least = [t.half for t in self.things], 0.2
            span = max(sorted(values, reverse=last)[:2])
        first, second = sorted(values, reverse=last)[:2]
        if abs(first - second) / span > least:
            thing = self.things[values.index(first)]
            self.add("extreme", EXTREMES[kind], f"The {_name(thing)}.")

    def whole(self) -> None:
        rng, backdrop = self.rng, self.scene.backdrop
        if backdrop.colour is not None:
            self.add("background", BACKGROUND, capital(backdrop.colour) + ".")
        else:
            self.add("background", BACKGROUND_KIND, capital(backdrop.words) + ".")
        things = sorted(self.things, key=lambda thing: thing.x)
        names = capital(listing([with_article(_name(thing)) for thing in things]))
        several = len(things) > 1
        forms = DESCRIBE_SEVERAL if several else DESCRIBE
        self.add("describe", forms, f"{names} on {backdrop.words}.")
        if several:
            self.add("list", LIST, names + ".")
        if rng.random() < 0.25:
            self.add("anytext", ANY_TEXT, "No.")
        if rng.random() < 0.1:
            self.add("kind", ("Is this a bar chart?", "Is this a chart?"), "No.")


def ask_about_shapes(rng: random.Random, scene: ShapeScene, pairs: int = 1) -> list[Question]:
    """Every type of question that has one clear answer for this picture.

    `pairs` is how many pairs of shapes are compared by position (up to two questions each).
    """
    asker = _Asker(rng, scene)
    asker.names()
    asker.counts()
    asker.existence()
    asker.places()
    asker.relations(pairs)
    asker.sizes()
    asker.extremes()
    asker.whole()
    return asker.questions
