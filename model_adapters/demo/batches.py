"""Training batches: pictures, pairs of pictures, clips, sounds, or plain chat, each of one size."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from sensorium.model_adapters.demo.clips import CLIP_SIZES, FRAMES, render_clip
from sensorium.model_adapters.demo.phrasing import Question, vary
from sensorium.model_adapters.demo.questions_clips import ask_about_clip
from sensorium.model_adapters.demo.questions_pairs import ask_about_pair
from sensorium.model_adapters.demo.questions_shapes import ask_about_shapes
from sensorium.model_adapters.demo.questions_sounds import ask_about_sound, ask_about_speech
from sensorium.model_adapters.demo.questions_text import ask_about_text
from sensorium.model_adapters.demo.scenes import SIZES, Labels, ShapeScene, paint_shapes
from sensorium.model_adapters.demo.sequences import (
    Medium,
    SequenceBuilder,
    Sequenced,
    attention_mask,
)
from sensorium.model_adapters.demo.signals import RATE, Signal, audio_tokens, log_mel, record
from sensorium.model_adapters.demo.small_talk import declined, greeting, unattached
from sensorium.model_adapters.demo.sounds import random_sound
from sensorium.model_adapters.demo.text_scenes import TextScene, paint_text
from sensorium.model_adapters.demo.voices import Utterance

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

__all__ = [
    "LONGEST_SOUND",
    "Batch",
    "BatchMaker",
    "collate",
    "in_merge_order",
    "pick",
    "stack_scenes",
]

LONGEST_SOUND: Final = 4 * RATE
CHAT_SHARE: Final = 0.2
SIMILAR_SHARE: Final = 0.5

WEIGHTS: Final = {
    "read": 6.0, "relation": 4.0, "describe_text": 4.0, "letters": 3.0, "size": 3.0, "list": 4.0,
    "describe": 4.0, "where": 2.0, "extreme": 2.0, "count_shape": 2.0, "count_color": 2.5,
    "count": 1.7, "background": 0.5, "sign_color": 0.4, "text_color": 0.7, "anytext": 0.4,
    "kind": 0.4, "v_happen": 3.5, "v_describe": 3.5, "v_dir": 2.5, "v_what": 1.5, "v_yn": 2.0,
    "v_color": 0.6, "v_count": 0.6, "s_count": 2.5, "a_count": 2.5, "a_kind": 0.5,
}  # fmt: skip
"""How much likelier than 1 a type of question is drawn: the harder to learn, the more."""


@dataclass
class Batch:
    """One batch; arrays are None where the kind of batch has none.

    `ids` (b, n), `positions` (3, b, n), `mask` (b, 1, n, n), `targets` (b, n), `segments` (b, n);
    `pixels` (pictures, 1 or 2 frames, height, width, 3) of 8 bits; `labels` (pictures, 3, patches)
    in merge order; `mel` (bins, all frames of all sounds one after another), `frames` (b,) their
    lengths, `said` what is said in each.
    """

    kind: str
    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor
    segments: torch.Tensor
    pixels: torch.Tensor | None = None
    labels: torch.Tensor | None = None
    mel: torch.Tensor | None = None
    frames: torch.Tensor | None = None
    said: list[str] = field(default_factory=list)


def collate(kind: str, sequences: Sequence[Sequenced], **arrays: Any) -> Batch:
    """Pad sequences to one length and add the attention mask."""
    import torch

    length, size = max(len(made.ids) for made in sequences), len(sequences)
    ids, segments = np.zeros((size, length), np.int64), np.full((size, length), -1, np.int64)
    targets, positions = np.zeros((size, length), bool), np.zeros((3, size, length), np.int64)
    for row, made in enumerate(sequences):
        count = len(made.ids)
        ids[row, :count], segments[row, :count] = made.ids, made.segments
        targets[row, :count], positions[:, row, :count] = made.targets, made.positions
    mask = torch.from_numpy(attention_mask(segments)[:, None])
    parts = (torch.from_numpy(part) for part in (ids, positions, targets, segments))
    ids_, positions_, targets_, segments_ = parts
    return Batch(kind, ids_, positions_, mask, targets_, segments_, **arrays)


def in_merge_order(labels: Labels) -> Labels:
    """Patch labels (3, rows, columns) as (3, patches), in the order the vision tower reads."""
    _, rows, columns = labels.shape
    blocks = labels.reshape(3, rows // 2, 2, columns // 2, 2)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(3, -1)


def pick(rng: random.Random, questions: Sequence[Question], count: int) -> list[Question]:
    """`count` of the questions, the harder types more often, in random order."""
    keyed = sorted(
        questions,
        key=lambda question: rng.random() ** (1 / WEIGHTS.get(question.kind, 1.0)),
        reverse=True,
    )
    chosen = keyed[:count]
    rng.shuffle(chosen)
    return chosen


class BatchMaker:
    """Renders batches from one seed; `pool` are the utterances, `faces` the fonts to draw from.

    `most` is the largest number of shapes in a picture (the curriculum), `text_share` the share of
    pictures that show a word.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        seed: int,
        faces: Sequence[str],
        pool: Sequence[Utterance],
        text_share: float = 0.5,
    ) -> None:
        self.rng = random.Random(seed)
        self.builder = SequenceBuilder(tokenizer)
        self.faces, self.pool, self.text_share = faces, pool, text_share
        self.most = 4

    def make(self, kind: str, size: int) -> Batch:
        """A batch of `size` sequences: kind is image, pair, clip, sound or talk."""
        makers: dict[str, Callable[[int], Batch]] = {
            "image": self.images,
            "pair": self.pairs,
            "clip": self.clips,
            "sound": self.sounds,
            "talk": self.talk,
        }
        return makers[kind](size)

    def _scene(self, size: tuple[int, int], most: int) -> ShapeScene | TextScene:
        if self.rng.random() < self.text_share:
            return paint_text(self.rng, size, self.faces)
        return paint_shapes(self.rng, size, most, similar_share=SIMILAR_SHARE)

    def _sequence(
        self, media: list[Medium], questions: list[Question], printed: str | None = None
    ) -> Sequenced:
        rng = self.rng
        varied = [Question(q.kind, vary(rng, q.text), q.answer) for q in questions]
        shared = rng.random() >= CHAT_SHARE
        return self.builder.build(rng, media, varied, printed, shared)

    def images(self, size: int) -> Batch:
        """Pictures of one size, five or six questions each."""
        import torch

        rng, shape = self.rng, self.rng.choice(SIZES)
        medium = Medium("image", (1, shape[1] // 32, shape[0] // 32))
        sequences, scenes = list[Sequenced](), list[ShapeScene | TextScene]()
        for _ in range(size):
            scene = self._scene(shape, self.most)
            if isinstance(scene, TextScene):
                questions, printed = pick(rng, ask_about_text(rng, scene), 5), scene.text
            else:
                questions, printed = pick(rng, ask_about_shapes(rng, scene, pairs=2), 6), None
            if rng.random() < 0.1:
                questions[-1] = declined(rng, with_media=True)
            scenes.append(scene)
            sequences.append(self._sequence([medium], questions, printed))
        pixels, labels = stack_scenes(scenes)
        return collate(
            "image", sequences, pixels=torch.from_numpy(pixels), labels=torch.from_numpy(labels)
        )

    def pairs(self, size: int) -> Batch:
        """Two pictures of one size in each chat."""
        import torch

        rng, shape = self.rng, self.rng.choice(SIZES)
        medium = Medium("image", (1, shape[1] // 32, shape[0] // 32))
        sequences, scenes = list[Sequenced](), list[ShapeScene | TextScene]()
        for _ in range(size):
            pair = [self._scene(shape, min(3, self.most)) for _ in range(2)]
            questions, printed = ask_about_pair(rng, pair[0], pair[1])
            scenes += pair
            sequences.append(self._sequence([medium] * 2, questions[:5], printed))
        pixels, labels = stack_scenes(scenes)
        return collate(
            "pair", sequences, pixels=torch.from_numpy(pixels), labels=torch.from_numpy(labels)
        )

    def clips(self, size: int) -> Batch:
        """Clips of one size, five questions each."""
        import torch

        rng, shape = self.rng, self.rng.choice(CLIP_SIZES)
        seconds = FRAMES // 2
        medium = Medium("video", (seconds, shape[1] // 32, shape[0] // 32))
        sequences, frames = list[Sequenced](), []
        for _ in range(size):
            clip = render_clip(rng, shape)
            frames.append(clip.frames.reshape(seconds, 2, shape[1], shape[0], 3))
            sequences.append(self._sequence([medium], pick(rng, ask_about_clip(rng, clip), 5)))
        return collate("clip", sequences, pixels=torch.from_numpy(np.concatenate(frames)))

    def _heard(self) -> tuple[Signal, str, list[Question]]:
        rng = self.rng
        if self.pool and rng.random() < 0.6:
            said = rng.choice(self.pool)
            questions = ask_about_speech(rng, said.kind, said.words)
            return record(rng, said.signal), said.words, questions
        sound = random_sound(rng)
        return sound.signal, "", ask_about_sound(rng, sound)

    def sounds(self, size: int) -> Batch:
        """Speech and simple sounds of at most four seconds, up to three questions each."""
        import torch

        rng, sequences, mels, said = self.rng, list[Sequenced](), list[torch.Tensor](), list[str]()
        for _ in range(size):
            signal, words, questions = self._heard()
            mel = log_mel(signal[:LONGEST_SOUND])
            asked = [questions[0], *pick(rng, questions[1:], 2)]
            if rng.random() < 0.04:
                asked[-1] = declined(rng, with_media=True)
            medium = Medium("audio", (audio_tokens(mel.shape[1]),))
            sequences.append(self._sequence([medium], asked))
            mels.append(mel)
            said.append(words)
        frames = torch.tensor([mel.shape[1] for mel in mels])
        return collate("sound", sequences, mel=torch.cat(mels, 1), frames=frames, said=said)

    def talk(self, size: int) -> Batch:
        """Chat without media: greetings, refusals, and requests to attach something."""
        rng, sequences = self.rng, list[Sequenced]()
        for _ in range(size):
            asked = []
            for _ in range(4):
                kind = rng.random()
                if kind < 0.3:
                    asked.append(greeting(rng))
                elif kind < 0.7:
                    asked.append(declined(rng, with_media=False))
                else:
                    asked.append(unattached(rng))
            sequences.append(self._sequence([], asked))
        return collate("talk", sequences)


def stack_scenes(
    scenes: Sequence[ShapeScene | TextScene],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Pixels (n, 1, height, width, 3) and labels (n, 3, patches) of scenes of one size."""
    pixels = np.stack([scene.pixels for scene in scenes])[:, None]
    return pixels, np.stack([in_merge_order(scene.labels) for scene in scenes])
