"""vLLM's engine as the thing that writes down windows of speech.

Requests go to `AsyncLLM.generate` as finished engine inputs: spectrum, token ids, rules. vLLM's own
way, from text and samples, computes the spectrum of each window by itself and knows none of
Whisper's rules.

Depends on vLLM 0.32: `vllm.inputs.engine`, `vllm.multimodal.inputs`, `SamplingParams`, and
`collective_rpc` to `sensorium.model_adapters.whisper.worker`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

from sensorium.serving.errors import BadRequestError, UnavailableError
from sensorium.serving.speech.features import FRAMES_PER_STEP, Spectrum
from sensorium.serving.speech.rules import SamplingRules, no_speech_probability
from sensorium.serving.speech.whisper import Whisper
from sensorium.serving.speech.window import Task, Window, Written

__all__ = ["SPEECH_OPTIONS", "WhisperEngine"]

# What the rules and the times of words need of an engine.
SPEECH_OPTIONS = (
    "--logits-processors",
    "sensorium.serving.engine.whisper_sampling:WhisperSampling",
    "--logprobs-mode",
    "processed_logprobs",
    "--worker-extension-cls",
    "sensorium.model_adapters.whisper.worker.WhisperWorker",
)


class WhisperEngine:
    """A `SpeechEngine` over an `AsyncLLM` that was started with `SPEECH_OPTIONS`."""

    def __init__(self, engine: Any, whisper: Whisper) -> None:
        self._engine = engine
        self._whisper = whisper
        self._ranks: int = engine.vllm_config.parallel_config.tensor_parallel_size

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""
        return self._whisper.vocabulary.decode(tokens)

    async def write(
        self, window: Window, task: Task, before: list[int], temperature: float
    ) -> Written:
        """Tokens for a window; see `SpeechEngine`."""
        rules = self._rules(window, task, temperature)
        prompt = self._whisper.prompt(before)
        room = self._whisper.target_positions - len(prompt)
        most = min(len(rules.forced) + self._whisper.longest_text, room)
        output = await self._generate(_input(window, prompt, self._whisper), rules, most)
        return self._read(output, rules, len(prompt), temperature)

    def _rules(self, window: Window, task: Task, temperature: float) -> SamplingRules:
        vocabulary = self._whisper.vocabulary
        return SamplingRules(
            forced=self._whisper.forced(task.language, task.task, task.among),
            no_speech=vocabulary.no_speech,
            end=vocabulary.end,
            timestamps=vocabulary.timestamps,
            suppressed=self._whisper.suppressed,
            blank=self._whisper.blank,
            until=window.until // FRAMES_PER_STEP,
            temperature=temperature,
            seed=task.seed,
        )

    async def _generate(self, prompt: Any, rules: SamplingRules, most: int) -> Any:
        from vllm.sampling_params import RequestOutputKind, SamplingParams
        from vllm.v1.engine.exceptions import EngineDeadError

        params = SamplingParams(
            temperature=0.0,
            max_tokens=most,
            stop_token_ids=[rules.end],
            logprob_token_ids=[rules.no_speech],
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            extra_args=rules.arguments(),
        )
        final = None
        try:
            name = f"speech-{uuid.uuid4().hex}"
            async for output in self._engine.generate(prompt, params, name):
                final = output
        except EngineDeadError:
            raise UnavailableError("The engine has stopped while it was transcribing") from None
        if final is None or not final.finished or final.outputs[0].finish_reason == "abort":
            raise UnavailableError("The engine ended a transcription before it was finished")
        return final.outputs[0]

    def _read(
        self, output: Any, rules: SamplingRules, prompt_tokens: int, temperature: float
    ) -> Written:
        ids = list(output.token_ids)
        scores = [step[token].logprob for step, token in zip(output.logprobs, ids, strict=True)]
        first = output.logprobs[0]
        no_speech = no_speech_probability(scores[0], first[rules.no_speech].logprob)
        skipped = len(rules.forced)
        tokens, logprobs = ids[skipped:], scores[skipped:]
        total = sum(logprobs)
        if tokens and tokens[-1] == rules.end:
            tokens, logprobs = tokens[:-1], logprobs[:-1]
        return Written(
            tokens=tokens,
            logprobs=logprobs,
            average=total / (len(tokens) + 1),
            no_speech=no_speech,
            language=self._language(ids[0]) if skipped else "en",
            temperature=temperature,
            prompt_tokens=prompt_tokens + skipped,
            finished=output.finish_reason == "stop",
        )

    def _language(self, token: int) -> str:
        known = self._whisper.vocabulary.languages
        return next(code for code, number in known.items() if number == token)

    async def attention(
        self, window: Window, tokens: Sequence[int]
    ) -> tuple[Spectrum, Sequence[float]]:
        """Scores [heads, tokens, steps]; see `SpeechEngine`."""
        if self._ranks > 1:
            raise BadRequestError(
                "The times of words need an engine on one GPU; this one is split over "
                f"{self._ranks} (`tensor-parallel-size`)",
                param="timestamp_granularities",
            )
        steps = window.frames // FRAMES_PER_STEP
        heads = [list(pair) for pair in self._whisper.heads]
        answers = await self._engine.collective_rpc(
            "whisper_attention",
            args=(window.number, window.mel.tobytes(), list(tokens), steps, heads),
        )
        data, probabilities = answers[0]
        scores = np.frombuffer(data, np.float32).reshape(len(heads), len(tokens), steps)
        return scores, probabilities


def _input(window: Window, prompt: list[int], whisper: Whisper) -> Any:
    """vLLM's input for an encoder-decoder model, as its Whisper processor would make it."""
    import torch
    from transformers import BatchFeature
    from vllm.inputs.engine import build_enc_dec_input, mm_enc_dec_input, mm_input
    from vllm.multimodal.inputs import (
        MultiModalFieldConfig,
        MultiModalKwargsItems,
        PlaceholderRange,
    )

    batched = MultiModalFieldConfig.batched("audio")
    items = MultiModalKwargsItems.from_hf_inputs(
        BatchFeature(
            {
                "input_features": torch.from_numpy(window.mel)[None],
                "window": torch.tensor([window.number]),
            }
        ),
        {"input_features": batched, "window": batched},
    )
    length = whisper.source_positions
    sound = mm_input(
        prompt_token_ids=[0] * length,
        mm_kwargs=items,
        mm_hashes={"audio": [f"sensorium-window-{window.number}"]},
        mm_placeholders={"audio": [PlaceholderRange(offset=0, length=length)]},
    )
    both = mm_enc_dec_input(sound, list(prompt))
    return build_enc_dec_input(both, None, whisper.vocabulary.start, skip_decoder_start_token=True)
