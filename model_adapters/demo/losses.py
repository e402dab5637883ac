"""What the model is trained on: its answers, and what single patches and sound frames show.

The helper heads exist in training only. They say what each 16-pixel patch shows (shape, colour,
character), where each merged token is, and which letters are heard at 50 slots a second (CTC); the
alignment loss pulls each merged token towards the embeddings of the words for what it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.nn import functional

from sensorium.model_adapters.demo import tokenizer as tokens
from sensorium.model_adapters.demo.batches import Batch
from sensorium.model_adapters.demo.drawing import COLOURS, SHAPES
from sensorium.model_adapters.demo.model_config import WIDTH, word_ids
from sensorium.model_adapters.demo.questions_shapes import EDGES
from sensorium.model_adapters.demo.scenes import CHARACTERS, SIGN_LABEL
from sensorium.model_adapters.demo.signals import audio_tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["HelperHeads", "Objective", "answer_logits", "to_patches"]

SHAPE_CLASSES, COLOUR_CLASSES = SIGN_LABEL + 2, len(COLOURS) + 1
CHARACTER_CLASSES: Final = len(CHARACTERS) + 1
LETTERS: Final = 28  # blank, a to z, space
SLOTS: Final = 4
POSITION_CLASSES: Final = (8, 8, 3, 3)
BACKGROUND_WEIGHTS: Final = (0.4, 0.4, 0.15)


class HelperHeads(nn.Module):
    """Linear heads on the towers, thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Linear(WIDTH, SHAPE_CLASSES + COLOUR_CLASSES + CHARACTER_CLASSES)
        self.place = nn.Linear(WIDTH, sum(POSITION_CLASSES))
        self.letters = nn.Linear(WIDTH, SLOTS * LETTERS)


def to_patches(pixels: torch.Tensor) -> torch.Tensor:
    """8-bit pictures (n, 1 or 2, height, width, 3) as the processor's patches, (n, patches, 1536).

    Same order and scaling as Qwen2VLImageProcessor with mean and deviation 0.5.
    """
    if pixels.shape[1] == 1:
        pixels = pixels.expand(-1, 2, -1, -1, -1)
    count, _, height, width, _ = pixels.shape
    blocks = pixels.reshape(count, 2, height // 32, 2, 16, width // 32, 2, 16, 3)
    blocks = blocks.permute(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return blocks.reshape(count, -1, 1536).float() / 127.5 - 1


def _see(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Patch features (n, patches, WIDTH) and merged tokens (n, patches / 4, WIDTH)."""
    assert batch.pixels is not None
    patches = to_patches(batch.pixels)
    count, number, _ = patches.shape
    height, width = batch.pixels.shape[2:4]
    grids = torch.tensor([[1, height // 16, width // 16]] * count)
    seen = model.visual(patches.reshape(count * number, -1), grid_thw=grids)
    return (
        seen.last_hidden_state.reshape(count, number, -1),
        seen.pooler_output.reshape(count, number // 4, -1),
    )


def _hear(model: Any, batch: Batch) -> torch.Tensor:
    heard: torch.Tensor = model.audio_tower(batch.mel, feature_lens=batch.frames).last_hidden_state
    return heard


def _answer_states(model: Any, batch: Batch, media: torch.Tensor | None) -> torch.Tensor:
    embedded = model.model.embed_tokens(batch.ids)
    if media is not None:
        places = torch.isin(batch.ids, torch.tensor([tokens.IMAGE, tokens.VIDEO, tokens.AUDIO]))
        embedded = embedded.masked_scatter(places[..., None], media.to(embedded.dtype))
    states: torch.Tensor = model.model(
        inputs_embeds=embedded,
        position_ids=batch.positions,
        attention_mask=batch.mask,
        use_cache=False,
    ).last_hidden_state
    return states[:, :-1][batch.targets[:, 1:]]


def _media(model: Any, batch: Batch) -> torch.Tensor | None:
    if batch.pixels is not None:
        return _see(model, batch)[1]
    return _hear(model, batch) if batch.mel is not None else None


def answer_logits(model: Any, batch: Batch) -> torch.Tensor:
    """Logits at every answer token of the batch, (answer tokens, vocabulary), teacher-forced."""
    states = _answer_states(model, batch, _media(model, batch))
    logits: torch.Tensor = functional.linear(states, model.model.embed_tokens.weight)
    return logits


class Objective:
    """The training loss of a batch, with measurements for the log."""

    def __init__(self, model: Any, heads: HelperHeads, tokenizer: Tokenizer) -> None:
        self.model, self.heads = model, heads
        shapes = word_ids(tokenizer, tuple(" " + shape for shape in SHAPES))
        filler = [-1] * (SIGN_LABEL - 1 - len(SHAPES))
        sign = word_ids(tokenizer, (" sign",))
        self._words = (
            torch.tensor([-1, *shapes, *filler, *sign, -1]),
            torch.tensor([-1, *word_ids(tokenizer, tuple(" " + name for name in COLOURS))]),
            torch.tensor([-1, *word_ids(tokenizer, tuple(CHARACTERS))]),
        )

    def __call__(
        self, batch: Batch, helper_weight: float, train_trunk: bool = True
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss and its parts; with `train_trunk` false the helpers leave the towers alone."""
        log: dict[str, float] = {}
        helper, media = torch.zeros(()), None
        if batch.pixels is not None:
            features, merged = _see(self.model, batch)
            media = merged
            if batch.labels is not None:
                kept = (features, merged) if train_trunk else (features.detach(), merged.detach())
                helper = self._patch_loss(kept[0], batch.labels, log)
                helper = helper + self._alignment(merged, batch.labels, log)
                helper = helper + self._place_loss(kept[1], batch, log)
        elif batch.mel is not None:
            media = _hear(self.model, batch)
            helper = self._letter_loss(media if train_trunk else media.detach(), batch, log)
        states = _answer_states(self.model, batch, media)
        logits = functional.linear(states, self.model.model.embed_tokens.weight).float()
        wanted = batch.ids[:, 1:][batch.targets[:, 1:]]
        answers = functional.cross_entropy(logits, wanted)
        log["answers"] = answers.item()
        log["right"] = (logits.argmax(-1) == wanted).float().mean().item()
        return helper_weight * helper + answers, log

    def _patch_loss(
        self, features: torch.Tensor, labels: torch.Tensor, log: dict[str, float]
    ) -> torch.Tensor:
        logits, total, start = self.heads.patch(features).float(), torch.zeros(()), 0
        sizes = (SHAPE_CLASSES, COLOUR_CLASSES, CHARACTER_CLASSES)
        for axis, (name, size) in enumerate(zip(("shape", "colour", "text"), sizes, strict=True)):
            weight = torch.ones(size)
            weight[0] = BACKGROUND_WEIGHTS[axis]
            part = logits[..., start : start + size].reshape(-1, size)
            loss = functional.cross_entropy(part, labels[:, axis].reshape(-1), weight=weight)
            log[name], start, total = loss.item(), start + size, total + loss
        return total

    def _alignment(
        self, merged: torch.Tensor, labels: torch.Tensor, log: dict[str, float]
    ) -> torch.Tensor:
        embedding = self.model.model.embed_tokens.weight
        size, count = embedding.shape[0], merged.shape[0] * merged.shape[1]
        target = torch.zeros(count, size + 1)
        for axis, table in enumerate(self._words):
            words = table[labels[:, axis]].reshape(count, 4)
            words = torch.where(words < 0, size, words)
            target.scatter_add_(1, words, torch.full(words.shape, 1.0 if axis < 2 else 2.0))
        target = target[:, :size]
        total = target.sum(1)
        shown = total > 0
        target = target[shown] / total[shown, None]
        tokens_ = functional.normalize(merged.reshape(count, -1)[shown].float(), dim=-1)
        logits = 10 * tokens_ @ functional.normalize(embedding.float(), dim=-1).T
        loss = -(target * logits.log_softmax(-1)).sum(-1).mean()
        log["align"] = loss.item()
        return loss

    def _place_loss(
        self, merged: torch.Tensor, batch: Batch, log: dict[str, float]
    ) -> torch.Tensor:
        assert batch.pixels is not None
        rows, columns = (side // 32 for side in batch.pixels.shape[2:4])
        row = torch.arange(rows).repeat_interleave(columns).repeat(merged.shape[0])
        column = torch.arange(columns).repeat(rows).repeat(merged.shape[0])

        def third(index: torch.Tensor, size: int) -> torch.Tensor:
            share = (index + 0.5) / size
            return (share > EDGES[0]).long() + (share > EDGES[1]).long()

        logits = self.heads.place(functional.rms_norm(merged.float(), (WIDTH,)))
        parts = logits.reshape(-1, sum(POSITION_CLASSES)).split(POSITION_CLASSES, -1)
        wanted = (row, column, third(row, rows), third(column, columns))
        losses = [functional.cross_entropy(a, b) for a, b in zip(parts, wanted, strict=True)]
        loss = 0.25 * torch.stack(losses).sum()
        log["place"] = loss.item()
        return loss

    def _letter_loss(
        self, heard: torch.Tensor, batch: Batch, log: dict[str, float]
    ) -> torch.Tensor:
        assert batch.frames is not None
        logits = self.heads.letters(functional.rms_norm(heard.float(), (WIDTH,)))
        counts = [audio_tokens(frames) for frames in batch.frames.tolist()]
        heard_letters = logits.reshape(-1, LETTERS).log_softmax(-1)
        slots = torch.split(heard_letters, [SLOTS * n for n in counts])
        wanted = [
            torch.tensor([27 if c == " " else ord(c) - 96 for c in words], dtype=torch.long)
            for words in batch.said
        ]
        sizes = torch.tensor([len(letters) for letters in wanted])
        loss = functional.ctc_loss(
            nn.utils.rnn.pad_sequence(list(slots)),
            torch.cat(wanted),
            torch.tensor([SLOTS * n for n in counts]),
            sizes,
            blank=0,
            reduction="sum",
            zero_infinity=True,
        ) / max(1, int(sizes.sum()))
        log["letters"] = loss.item()
        return loss
