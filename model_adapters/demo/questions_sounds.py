"""Questions about speech and simple sounds, and their true answers."""

from __future__ import annotations

import random
from typing import Final

from sensorium.model_adapters.demo.phrasing import Question, capital
from sensorium.model_adapters.demo.sounds import Sound

__all__ = ["ask_about_sound", "ask_about_speech", "written"]

NUMBERS: Final = ("Zero", "One", "Two", "Three", "Four", "Five", "Six")
TRANSCRIBE: Final = (
    "Transcribe the audio.",
    "What is said?",
    "What does the speaker say?",
    "What do you hear?",
    "Transcribe this.",
    "What is being said?",
    "What did they say?",
    "What does the person say?",
    "What is in the audio?",
    # vLLM's transcriptions endpoint asks in these words.
    "Transcribe this audio.",
    "Transcribe this audio into English.",
)
DIGIT_COUNT: Final = (
    "How many digits are spoken?",
    "How many numbers do you hear?",
    "How many digits do you hear?",
)
SPEECH: Final = (
    ("What kind of sound is this?", "Speech."),
    ("Is this speech?", "Yes."),
    ("Is someone speaking?", "Yes."),
    ("What type of audio is this?", "Speech."),
)
WHAT: Final = (
    "What do you hear?",
    "What is in the audio?",
    "Describe the audio.",
    "What sound is this?",
    "Describe the sound.",
    "What kind of sound is this?",
)
BEEPS: Final = (
    "How many beeps do you hear?",
    "How many beeps are there?",
    "Count the beeps.",
)
SWEEP: Final = (
    "Is the tone rising or falling?",
    "Does the pitch rise or fall?",
    "Is the pitch rising or falling?",
)
PITCH: Final = ("Is it high or low?", "Is the pitch high or low?", "Is the sound high or low?")
IS_SPEECH: Final = ("Is this speech?", "Is someone speaking?")
NO_SPEECH: Final = (
    "Transcribe the audio.",
    "Transcribe this audio.",
    "What is said?",
    "What does the speaker say?",
)


def written(words: str) -> str:
    """Spoken words as the model writes them: `Seven two.`"""
    return capital(words) + "."


def ask_about_speech(rng: random.Random, kind: str, words: str) -> list[Question]:
    """Questions about an utterance; the first one always asks for its words."""
    forms = TRANSCRIBE if " " in words else (*TRANSCRIBE, "Which word is spoken?")
    questions = [Question(f"transcribe_{kind}", rng.choice(forms), written(words))]
    if kind == "digits":
        count = len(words.split())
        questions.append(Question("a_count", rng.choice(DIGIT_COUNT), f"{count}."))
    questions.append(Question("a_kind", *rng.choice(SPEECH)))
    return questions


def _name(sound: Sound) -> str:
    if sound.kind == "beeps":
        plural = "s" if sound.count != 1 else ""
        return f"{NUMBERS[sound.count]} {sound.pitch} beep{plural}."
    if sound.pitch is not None:
        return f"A {sound.pitch} tone."
    return capital(sound.kind) + "."


def ask_about_sound(rng: random.Random, sound: Sound) -> list[Question]:
    """Questions about a simple sound; the first one always asks what it is."""
    questions = [Question("s_what", rng.choice(WHAT), _name(sound))]
    if sound.kind == "beeps":
        questions.append(Question("s_count", rng.choice(BEEPS), f"{sound.count}."))
    if sound.kind == "sweep" and sound.pitch is not None:
        questions.append(Question("s_sweep", rng.choice(SWEEP), capital(sound.pitch) + "."))
    if sound.kind in ("beeps", "tone") and sound.pitch is not None:
        questions.append(Question("s_pitch", rng.choice(PITCH), capital(sound.pitch) + "."))
    questions.append(Question("a_kind", rng.choice(IS_SPEECH), "No."))
    if rng.random() < 0.2:
        questions.append(Question("transcribe_none", rng.choice(NO_SPEECH), "There is no speech."))
    return questions
