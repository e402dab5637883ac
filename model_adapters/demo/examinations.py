"""Held-out examinations: scenes, fonts, voices and refusals that training never sees."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sensorium.model_adapters.demo import voices
from sensorium.model_adapters.demo.batches import LONGEST_SOUND, Batch, collate, stack_scenes
from sensorium.model_adapters.demo.clips import CLIP_SIZES, FRAMES, render_clip
from sensorium.model_adapters.demo.phrasing import Question
from sensorium.model_adapters.demo.questions_clips import ask_about_clip
from sensorium.model_adapters.demo.questions_pairs import ask_about_pair
from sensorium.model_adapters.demo.questions_shapes import ask_about_shapes
from sensorium.model_adapters.demo.questions_sounds import ask_about_sound, ask_about_speech
from sensorium.model_adapters.demo.questions_text import ask_about_text
from sensorium.model_adapters.demo.scenes import SIZES, ShapeScene, paint_shapes
from sensorium.model_adapters.demo.sequences import Medium, SequenceBuilder, Sequenced
from sensorium.model_adapters.demo.signals import Signal, audio_tokens, log_mel, record
from sensorium.model_adapters.demo.small_talk import declined, greeting, unattached
from sensorium.model_adapters.demo.sounds import random_sound
from sensorium.model_adapters.demo.text_scenes import TextScene, paint_text

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

__all__ = ["Amounts", "Examination", "Paper"]

GROUP: Final = 10


@dataclass(frozen=True)
class Amounts:
    """How many media of each kind are examined; questions are several times as many."""

    shapes: int = 600
    texts: int = 500
    pairs: int = 100
    clips: int = 200
    espeak: int = 600
    flite: int = 100
    sounds: int = 400
    chats: int = 40

    def scaled(self, share: float) -> Amounts:
        """The same examination, shorter or longer."""
        return Amounts(*(max(GROUP, round(n * share)) for n in vars(self).values()))


@dataclass(frozen=True)
class Paper:
    """A batch and, for each of its sequences, the questions in it."""

    batch: Batch
    questions: list[list[Question]]


class Examination:
    """Renders papers from one seed.

    `faces` are the fonts to print with; `pool` the utterances, or None to speak held-out ones now.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        seed: int,
        faces: Sequence[str],
        amounts: Amounts,
        pool: Sequence[voices.Utterance] | None = None,
    ) -> None:
        self.rng, self.faces, self.amounts = random.Random(seed), faces, amounts
        self.builder = SequenceBuilder(tokenizer)
        self.pool = pool if pool is not None else self._speak(seed)

    def _speak(self, seed: int) -> list[voices.Utterance]:
        counts = self.amounts.espeak, self.amounts.flite
        return voices.speak_many(seed, *counts, held_out=True, workers=2)

    def papers(self) -> Iterator[Paper]:
        """All papers: pictures, pairs, clips, sounds, chats."""
        for _ in range(self.amounts.shapes // GROUP):
            yield self.pictures(shapes=True)
        for _ in range(self.amounts.texts // GROUP):
            yield self.pictures(shapes=False)
        for _ in range(self.amounts.pairs // GROUP):
            yield self.pairs()
        for _ in range(self.amounts.clips // GROUP):
            yield self.clips()
        for start in range(0, len(self.pool), GROUP):
            yield self.speech(self.pool[start : start + GROUP])
        for _ in range(self.amounts.sounds // GROUP):
            yield self.sounds()
        for _ in range(self.amounts.chats // GROUP):
            yield self.chats()

    def _write(
        self, media: list[Medium], questions: list[Question], printed: str | None = None
    ) -> Sequenced:
        return self.builder.build(self.rng, media, questions, printed)

    def pictures(self, shapes: bool) -> Paper:
        """Ten pictures of shapes, or of words, and all that can be asked about them."""
        import torch

        rng, size = self.rng, self.rng.choice(SIZES)
        medium = Medium("image", (1, size[1] // 32, size[0] // 32))
        scenes, asked, sequences = list[ShapeScene | TextScene](), [], []
        for _ in range(GROUP):
            if shapes:
                scene: ShapeScene | TextScene = (picture := paint_shapes(rng, size))
                questions, printed = ask_about_shapes(rng, picture), None
                if rng.random() < 0.1:
                    questions.append(declined(rng, with_media=True, held_out=True))
            else:
                scene = (word := paint_text(rng, size, self.faces))
                questions, printed = ask_about_text(rng, word), word.text
            scenes.append(scene)
            asked.append(questions)
            sequences.append(self._write([medium], questions, printed))
        pixels = torch.from_numpy(stack_scenes(scenes)[0])
        return Paper(collate("image", sequences, pixels=pixels), asked)

    def pairs(self) -> Paper:
        """Ten pairs of pictures."""
        import torch

        rng, size = self.rng, self.rng.choice(SIZES)
        medium = Medium("image", (1, size[1] // 32, size[0] // 32))
        scenes, asked, sequences = list[ShapeScene | TextScene](), [], []
        for _ in range(GROUP):
            pair = [
                paint_text(rng, size, self.faces)
                if rng.random() < 0.3
                else paint_shapes(rng, size, 3)
                for _ in range(2)
            ]
            questions, printed = ask_about_pair(rng, pair[0], pair[1])
            scenes += pair
            asked.append(questions)
            sequences.append(self._write([medium] * 2, questions, printed))
        pixels = torch.from_numpy(stack_scenes(scenes)[0])
        return Paper(collate("pair", sequences, pixels=pixels), asked)

    def clips(self) -> Paper:
        """Ten clips of eight frames."""
        import numpy as np
        import torch

        rng, size = self.rng, self.rng.choice(CLIP_SIZES)
        medium = Medium("video", (FRAMES // 2, size[1] // 32, size[0] // 32))
        asked, sequences, frames = [], [], []
        for _ in range(GROUP):
            clip = render_clip(rng, size)
            frames.append(clip.frames.reshape(FRAMES // 2, 2, size[1], size[0], 3))
            asked.append(ask_about_clip(rng, clip))
            sequences.append(self._write([medium], asked[-1]))
        pixels = torch.from_numpy(np.concatenate(frames))
        return Paper(collate("clip", sequences, pixels=pixels), asked)

    def _heard(self, signals: list[Signal], asked: list[list[Question]]) -> Paper:
        import torch

        mels = [log_mel(signal[:LONGEST_SOUND]) for signal in signals]
        lengths: list[int] = [int(mel.shape[1]) for mel in mels]
        media = [Medium("audio", (audio_tokens(length),)) for length in lengths]
        sequences = [self._write([m], q) for m, q in zip(media, asked, strict=True)]
        frames: torch.Tensor = torch.tensor(lengths)
        return Paper(collate("sound", sequences, mel=torch.cat(mels, 1), frames=frames), asked)

    def speech(self, pool: Sequence[voices.Utterance]) -> Paper:
        """Utterances in other rooms and at other speeds; flite's voices count on their own."""
        signals, asked = [], []
        for said in pool:
            questions = ask_about_speech(self.rng, said.kind, said.words)
            if said.voice.startswith("flite"):
                first = questions[0]
                questions = [Question("transcribe_flite", first.text, first.answer)]
            signals.append(record(self.rng, said.signal))
            asked.append(questions)
        return self._heard(signals, asked)

    def sounds(self) -> Paper:
        """Ten simple sounds."""
        heard = [random_sound(self.rng) for _ in range(GROUP)]
        asked = [ask_about_sound(self.rng, sound) for sound in heard]
        return self._heard([sound.signal for sound in heard], asked)

    def chats(self) -> Paper:
        """Ten chats without media: greetings, wide questions in other words, missing media."""
        rng, asked = self.rng, []
        for _ in range(GROUP):
            far = declined(rng, with_media=False, held_out=True)
            asked.append([greeting(rng), far, unattached(rng)])
        return Paper(collate("talk", [self._write([], questions) for questions in asked]), asked)
