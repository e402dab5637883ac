"""The rules for the next token, as vLLM calls them."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sensorium.serving.speech.rules import SamplingRules, no_speech_probability

pytestmark = pytest.mark.engine

END, NO_SPEECH, FIRST, SIZE = 100, 105, 107, 107 + 1501


def rules(**changes: Any) -> SamplingRules:
    fields: dict[str, Any] = {
        "forced": [[101, 102], [103]],
        "no_speech": NO_SPEECH,
        "end": END,
        "timestamps": FIRST,
        "suppressed": [7, NO_SPEECH],
        "blank": [3, END],
    }
    return SamplingRules(**{**fields, **changes})


class Batch:
    """A batch of requests as vLLM keeps it: rows, and the tokens each has got."""

    def __init__(self, *requests: SamplingRules | None) -> None:
        from sensorium.serving.engine.whisper_sampling import WhisperSampling

        self.sampling = WhisperSampling(None, torch.device("cpu"), False)
        self.outputs: list[list[int]] = [[] for _ in requests]
        added = []
        for index, request in enumerate(requests):
            extra = None if request is None else request.arguments()
            params = SimpleNamespace(extra_args=extra)
            added.append((index, params, None, self.outputs[index]))
        self.update(added=added)

    def update(self, **changes: Any) -> None:
        empty: dict[str, Any] = {"removed": (), "added": (), "moved": ()}
        fields = {"batch_size": len(self.outputs), **empty, **changes}
        self.sampling.update_state(SimpleNamespace(**fields))

    def logprobs(self, logits: torch.Tensor) -> torch.Tensor:
        return self.sampling.apply(logits.clone()).log_softmax(-1)


def noise(rows: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, SIZE, generator=torch.Generator().manual_seed(seed))


def allowed(batch: Batch, logits: torch.Tensor | None = None) -> set[int]:
    row = batch.logprobs(noise() if logits is None else logits)[0]
    return {int(token) for token in torch.nonzero(row > -math.inf).flatten()}


def test_the_first_tokens_are_forced_and_tell_of_silence() -> None:
    batch, logits = Batch(rules()), noise()
    row = batch.logprobs(logits)[0]
    chosen = int(row.argmax())
    assert chosen == (101 if logits[0, 101] > logits[0, 102] else 102)
    expected = float(logits[0].softmax(-1)[NO_SPEECH])
    told = no_speech_probability(float(row[chosen]), float(row[NO_SPEECH]))
    assert told == pytest.approx(expected, rel=1e-4)
    batch.outputs[0].append(chosen)
    row = batch.logprobs(noise(seed=1))[0]
    assert (int(row.argmax()), float(row.max())) == (103, 0.0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("silence", [-20.0, 0.0, 20.0])
def test_a_model_of_one_language_tells_of_silence_with_its_first_timestamp(
    silence: float, temperature: float
) -> None:
    batch, logits = Batch(rules(forced=[], temperature=temperature)), noise()
    logits[0, NO_SPEECH] = silence
    row = batch.logprobs(logits)[0]
    chosen = int(row.argmax())
    assert FIRST <= chosen <= FIRST + 50
    told = no_speech_probability(float(row[chosen]), float(row[NO_SPEECH]))
    assert told == pytest.approx(float(logits[0].softmax(-1)[NO_SPEECH]), rel=1e-2, abs=1e-9)
    likely = logits[0, FIRST : FIRST + 51].log_softmax(-1)[chosen - FIRST]
    assert float(row[chosen]) == pytest.approx(float(likely), abs=1e-3)


@pytest.mark.parametrize(
    ("written", "texts", "stamps"),
    [
        ([FIRST], True, range(0)),
        ([FIRST + 3, 5], True, range(4, 1501)),
        ([FIRST + 3, 5, FIRST + 9], False, range(9, 1501)),
        ([FIRST + 3, 5, FIRST + 9, FIRST + 9], True, range(0)),
        ([FIRST + 3, 5, FIRST + 9, FIRST + 12, 6], True, range(13, 1501)),
    ],
    ids=["opened", "text", "closed", "pair", "second"],
)
def test_timestamps_come_in_pairs_and_never_run_back(
    written: list[int], texts: bool, stamps: range
) -> None:
    batch = Batch(rules(forced=[]))
    batch.outputs[0] += written
    logits = noise()
    logits[0, :FIRST] += 20  # text is likelier than all timestamps together
    found = allowed(batch, logits)
    assert {token - FIRST for token in found if token >= FIRST} == set(stamps)
    assert (5 in found) is texts
    assert END in found
    assert not {7, NO_SPEECH, FIRST - 1} & found


@pytest.mark.parametrize(
    ("written", "may_end"),
    [
        ([FIRST], True),
        ([FIRST, 5, FIRST + 900], True),
        ([FIRST, 5, FIRST + 900, FIRST + 900], False),
        ([FIRST, 5, FIRST + 900, FIRST + 900, 6], True),
        ([FIRST, 5, FIRST + 999, FIRST + 999], False),
        ([FIRST, 5, FIRST + 1000, FIRST + 1000], True),
    ],
    ids=["nothing", "closed", "pair", "unclosed", "before", "at the end"],
)
def test_what_no_later_window_is_shown_is_not_left_to_it(written: list[int], may_end: bool) -> None:
    batch = Batch(rules(forced=[], until=1000))
    batch.outputs[0] += written
    logits = noise()
    logits[0, :FIRST] += 20
    found = allowed(batch, logits)
    assert (END in found) is may_end
    assert 5 in found or written[-2:] == [5, FIRST + 900]


def test_timestamps_win_when_together_they_are_likelier_than_any_word() -> None:
    batch = Batch(rules(forced=[]))
    batch.outputs[0] += [FIRST, 5]
    logits = torch.zeros(1, SIZE)
    logits[0, 6] = 7.0  # log(1500) = 7.3
    assert min(allowed(batch, logits)) >= FIRST
    logits[0, 6] = 7.5
    assert 6 in allowed(batch, logits)


def test_a_drawn_token_carries_its_probability_at_temperature_one() -> None:
    batch, logits = Batch(rules(forced=[], temperature=0.7, seed=3)), noise()
    batch.outputs[0] += [FIRST]
    logits[0, :FIRST] *= 3
    plain = Batch(rules(forced=[]))
    plain.outputs[0] += [FIRST]
    expected = plain.logprobs(logits)[0]
    counts = torch.zeros(SIZE)
    for _ in range(300):
        row = batch.logprobs(logits)[0]
        token = int(row.argmax())
        counts[token] += 1
        assert float(row[token]) == pytest.approx(float(expected[token]), abs=1e-3)
    likely = (expected / 0.7).softmax(-1)
    assert float((counts / 300 - likely).abs().max()) < 0.1
    assert int((counts > 0).sum()) > 1


def test_the_engine_s_placeholders_are_no_tokens() -> None:
    batch = Batch(rules())
    batch.outputs[0] += [-1]
    assert int(batch.logprobs(noise())[0].argmax()) in {101, 102}


def test_rows_follow_their_requests_and_others_are_left_alone() -> None:
    batch, logits = Batch(None, rules()), noise(2)
    out = batch.sampling.apply(logits.clone())
    assert torch.equal(out[0], logits[0])
    assert int(out[1].argmax()) in {101, 102}
    from vllm.v1.sample.logits_processor import MoveDirectionality

    batch.update(moved=[(0, 1, MoveDirectionality.SWAP)])
    out = batch.sampling.apply(logits.clone())
    assert torch.equal(out[1], logits[1])
    batch.update(removed=[0])
    assert torch.equal(batch.sampling.apply(logits.clone()), logits)
