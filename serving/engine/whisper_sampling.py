"""Whisper's rules for the next token, inside vLLM's sampler (its `LogitsProcessor` interface).

The rules are the authors' (openai/whisper, whisper/decoding.py): signs that nobody says are
suppressed; timestamps come in pairs, never run backwards, and win over text when together they are
more probable than any word.

Log-probabilities are all that comes back from the engine (its `logprobs_mode` must be
`processed_logprobs`), so two more things are said through them:

- At the first step that of `<|nospeech|>` tells how probable silence is, read from the logits of
  the start token before any rule was applied; see `no_speech_probability`.
- A token drawn at a temperature carries its log-probability at temperature 1, by which the authors
  judge a window. The draw is therefore made here, and the row that is handed on is one whose
  likeliest token is the drawn one, with that log-probability.

Depends on vLLM's insides: `vllm.v1.sample.logits_processor`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from sensorium.serving.speech.rules import SamplingRules, share_of_silence

if TYPE_CHECKING:
    from vllm.v1.sample.logits_processor import BatchUpdate

__all__ = ["WhisperSampling"]

_NEVER = -math.inf


@dataclass
class _Row:
    """A request in the batch: its rules, and the list that the engine appends its tokens to."""

    rules: SamplingRules
    output: list[int]
    suppressed: torch.Tensor
    generator: torch.Generator | None

    def written(self) -> list[int]:
        """The tokens so far; the engine's placeholders for tokens to come are left out."""
        return [token for token in self.output if token >= 0]


@dataclass(frozen=True)
class _Span:
    """What may come next: text ids from `text_from`, timestamps `low` to `high` (ids), the end."""

    text_from: int
    low: int
    high: int
    may_end: bool = True


class WhisperSampling(LogitsProcessor):
    """Applies `SamplingRules` to the rows of requests that carry them."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._device = device
        self._rows: dict[int, _Row] = {}

    def is_argmax_invariant(self) -> bool:
        """The likeliest token changes."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow requests as they enter, leave and move within the batch."""
        process_dict_updates(self._rows, batch_update, self._enter)

    def _enter(self, params: Any, prompt: list[int] | None, output: list[int]) -> _Row | None:
        rules = SamplingRules.read(params.extra_args)
        if rules is None:
            return None
        generator = None
        if rules.temperature > 0:
            generator = torch.Generator(self._device)
            generator.manual_seed(rules.seed)
        suppressed = torch.tensor(rules.suppressed, dtype=torch.long, device=self._device)
        return _Row(rules, output, suppressed, generator)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Rewrite the rows of Whisper requests; logits are float32 [batch, vocabulary]."""
        free: list[tuple[int, _Row, list[int]]] = []
        silence: dict[int, float] = {}
        for index, row in self._rows.items():
            written = row.written()
            if not written:
                silence[index] = float(logits[index].softmax(-1)[row.rules.no_speech])
            if len(written) < len(row.rules.forced):
                _force(logits[index], row.rules, len(written), silence.get(index))
            else:
                free.append((index, row, written[len(row.rules.forced) :]))
        if free:
            _restrict(logits, free)
            for index, row, _ in free:
                if row.generator is not None or index in silence:
                    _choose(logits[index], row, silence.get(index))
        return logits


def _force(logits: torch.Tensor, rules: SamplingRules, step: int, silence: float | None) -> None:
    """Allow only the tokens of this step."""
    allowed = torch.tensor(rules.forced[step], device=logits.device)
    chosen = int(allowed[logits[allowed].argmax()])
    _hand_on(logits, chosen, 1.0 if silence is None else 0.5, rules.no_speech, silence)


def _choose(logits: torch.Tensor, row: _Row, silence: float | None) -> None:
    """Take the likeliest token or draw one."""
    logprobs = logits.log_softmax(-1)
    if row.generator is None:
        token = int(logprobs.argmax())
    else:
        heated = (logprobs / row.rules.temperature).softmax(-1)
        token = int(torch.multinomial(heated, 1, generator=row.generator))
    probability = math.exp(float(logprobs[token]))
    _hand_on(logits, token, probability, row.rules.no_speech, silence)


def _hand_on(
    logits: torch.Tensor, token: int, probability: float, no_speech: int, silence: float | None
) -> None:
    """Make `token` the likeliest of the row, with this probability.

    What is left goes to all others evenly, but for what tells of silence. That leaves the token
    ahead unless it is less probable than one in the size of the vocabulary; then it is said to be
    just ahead. Where silence is told, certainty is cut to 0.9999 to leave room for it.
    """
    size = logits.shape[-1]
    probability = max(probability, 2.0 / size)
    told = 0.0
    if silence is not None:
        probability = min(probability, 1.0 - 1e-4)
        told = silence * share_of_silence(probability)
    rest = max(0.0, 1.0 - probability - told) / (size - 2)
    logits.fill_(math.log(rest) if rest > 0 else _NEVER)
    if silence is not None:
        logits[no_speech] = math.log(told) if told > 0 else _NEVER
    logits[token] = math.log(probability)


def _restrict(logits: torch.Tensor, rows: list[tuple[int, _Row, list[int]]]) -> None:
    """Suppress what the rules forbid, for all rows at once."""
    spans = []
    for index, row, written in rows:
        logits[index, row.suppressed] = _NEVER
        if not written:
            logits[index, row.rules.blank] = _NEVER
        spans.append(_span(row.rules, written))
        if not spans[-1].may_end:
            logits[index, row.rules.end] = _NEVER
    device = logits.device
    at = torch.tensor([index for index, _, _ in rows], device=device)
    first = rows[0][1].rules.timestamps
    chosen = logits[at]
    ids = torch.arange(logits.shape[-1], device=device)
    text_from = torch.tensor([span.text_from for span in spans], device=device)[:, None]
    low = torch.tensor([span.low for span in spans], device=device)[:, None]
    high = torch.tensor([span.high for span in spans], device=device)[:, None]
    is_text = ids < first
    banned = torch.where(is_text, ids < text_from, (ids < low) | (ids > high))
    banned |= ids == first - 1  # <|notimestamps|>
    chosen.masked_fill_(banned, _NEVER)
    stamps, text = chosen[:, first:], chosen[:, :first]
    sure = torch.logsumexp(stamps, -1) > text.max(-1).values
    text.masked_fill_(sure[:, None], _NEVER)
    logits[at] = chosen


def _span(rules: SamplingRules, written: list[int]) -> _Span:
    """Which timestamps may follow; `end` counts as text that may close a pair."""
    first, none = rules.timestamps, -1
    if not rules.stamped:
        return _Span(0, first, none)
    if not written:
        return _Span(first, first, first + rules.latest_start)
    highest = first + 1500
    stamps = [token for token in written if token >= first]
    text_from, low = 0, first
    last_is = written[-1] >= first
    if last_is and (len(written) < 2 or written[-2] >= first):
        # A pair is complete: text must follow, or the end, by which it is left to the next window.
        may_end = len(written) < 2 or written[-1] >= first + rules.until
        return _Span(0, first, none, may_end)
    if last_is:
        text_from = rules.end  # after the end of a segment: its twin, a later start, or the end
    if stamps:
        low = stamps[-1] if last_is else stamps[-1] + 1
    return _Span(text_from, low, highest)
