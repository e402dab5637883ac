"""Batches, schedules, one training step, and the marking of an examination."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sensorium.model_adapters.demo import CHECKPOINT, fonts
from sensorium.model_adapters.demo.batches import Batch, BatchMaker, in_merge_order, pick
from sensorium.model_adapters.demo.evaluate import Score, examine, interval, mark
from sensorium.model_adapters.demo.examinations import Amounts, Examination
from sensorium.model_adapters.demo.export import average
from sensorium.model_adapters.demo.phrasing import Question
from sensorium.model_adapters.demo.tokenizer import load_tokenizer
from sensorium.model_adapters.demo.train import Settings, curriculum, rate_at

if TYPE_CHECKING:
    import torch

torch_ = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def maker() -> BatchMaker:
    return BatchMaker(load_tokenizer(CHECKPOINT), 11, [fonts.BUILT_IN], [])


def test_the_rate_rises_holds_and_falls_to_nothing() -> None:
    settings = Settings(steps=1000, warm_up=10, hold=0.1)
    rates = [rate_at(step, settings) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[50] == 1
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[-1] < 0.002


def test_the_curriculum_grows_and_a_trained_start_skips_it() -> None:
    counts = [curriculum(step, Settings(steps=100)) for step in range(100)]
    assert counts == sorted(counts)
    assert set(counts) == {1, 2, 3, 4}
    assert curriculum(0, Settings(from_start=True)) == 4


def test_harder_questions_are_picked_more_often() -> None:
    asked = [Question(kind, "?", ".") for kind in ("relation", "background", "kind", "anytext")]
    rng = random.Random(0)
    first = [pick(rng, asked, 1)[0].kind for _ in range(400)]
    assert first.count("relation") > 200


def test_merge_order_walks_blocks_of_four() -> None:
    labels = np.arange(8).reshape(1, 2, 4).repeat(3, 0)
    assert in_merge_order(labels)[0].tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


@pytest.mark.parametrize("kind", ["image", "pair", "clip", "sound", "talk"])
def test_batches_fit_together(maker: BatchMaker, kind: str) -> None:
    batch = maker.make(kind, 3)
    size, length = batch.ids.shape
    assert size == 3
    assert batch.positions.shape == (3, size, length)
    assert batch.mask.shape == (size, 1, length, length)
    assert bool(batch.targets.any(1).all())
    assert bool((batch.segments[batch.targets] > 0).all())


def test_a_step_teaches(maker: BatchMaker) -> None:
    from sensorium.model_adapters.demo.losses import HelperHeads, Objective
    from sensorium.model_adapters.demo.model_config import build_model

    torch_.manual_seed(0)
    model, heads = build_model(), HelperHeads()
    assert 5_500_000 < sum(p.numel() for p in model.parameters()) < 6_000_000
    objective = Objective(model, heads, load_tokenizer(CHECKPOINT))
    optimiser = torch_.optim.AdamW([*model.parameters(), *heads.parameters()], lr=1e-3)
    losses = []
    batch = maker.make("image", 2)
    for _ in range(3):
        loss, log = objective(batch, 0.3)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert set(log) >= {"answers", "right", "shape", "colour", "text", "align", "place"}


def test_patches_are_the_processors(maker: BatchMaker) -> None:
    from sensorium.model_adapters.demo.losses import to_patches

    pixels = torch_.arange(64 * 32 * 3).reshape(1, 1, 32, 64, 3) % 256
    patches = to_patches(pixels)
    assert patches.shape == (1, 8, 1536)
    # The second patch in merge order is to the right of the first; red comes first in a patch.
    assert patches[0, 1, 0] == pytest.approx(float(pixels[0, 0, 0, 16, 0]) / 127.5 - 1)
    assert patches[0, 2, 0] == pytest.approx(float(pixels[0, 0, 16, 0, 0]) / 127.5 - 1)


def test_an_oracle_gets_full_marks_and_a_liar_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def oracle(model: Any, batch: Batch) -> torch.Tensor:
        wanted = batch.ids[:, 1:][batch.targets[:, 1:]]
        logits = torch_.nn.functional.one_hot(wanted, 900).float()
        return logits if model == "oracle" else -logits

    monkeypatch.setattr("sensorium.model_adapters.demo.losses.answer_logits", oracle)
    amounts = Amounts().scaled(0)
    assert amounts.shapes == amounts.sounds == 10
    exam = Examination(load_tokenizer(CHECKPOINT), 1, [fonts.BUILT_IN], amounts, [])
    papers = list(exam.papers())
    scores = examine("oracle", papers)
    assert {"color", "read", "relation", "v_happen", "s_what", "declines"} <= set(scores)
    assert all(score.right == score.n for score in scores.values())
    assert not any(right for paper in papers for _, right, _ in mark("liar", paper))


def test_interval() -> None:
    low, high = interval(95, 100)
    assert (round(low, 3), round(high, 3)) == (0.888, 0.978)
    assert interval(10, 10)[1] == pytest.approx(1)
    assert Score(3, 4).as_json()["accuracy"] == 0.75


def test_exported_states_are_averaged() -> None:
    states = [{"w": torch_.tensor([1.0, 2.0])}, {"w": torch_.tensor([3.0, 4.0])}]
    assert average(states)["w"].tolist() == [2.0, 3.0]
    assert average(states[:1])["w"].tolist() == [1.0, 2.0]
