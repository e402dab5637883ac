"""Random Whispers in each layout, in an engine, beside transformers' class and greedy search.

The checkpoints differ in all that Whispers differ in: layout, vocabulary (English-only, 99 and 100
languages), 80 and 128 mel bins, as many and unequal layers a side.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorium.model_adapters.whisper.facts import WhisperDimensions
from sensorium.model_adapters.whisper.ready import loadable
from sensorium.serving.engine.whisper_engine import SPEECH_OPTIONS, WhisperEngine
from sensorium.serving.speech.features import RATE, WINDOW_FRAMES, LogMel, Spectrum
from sensorium.serving.speech.whisper import Whisper, read_whisper
from sensorium.serving.speech.window import Task, Window, Written
from tests.families.served import Served
from tests.kit.ct2_files import Weights
from tests.kit.random_whisper import lively_weights, random_sizes, write_layout

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]

CLOSE = 1e-3
# Layout, sizes, and a seed whose model writes several segments and sometimes comes to an end.
KINDS = {
    "hf-99-languages": ("hf", random_sizes(51_865, 80, 2, 2), 1),
    "openai-128-mels-distilled": ("openai", random_sizes(51_866, 128, 3, 1), 2),
    "ct2-english": ("ct2", random_sizes(51_864, 80, 1, 2), 3),
}


class InProcess:
    """What `WhisperEngine` needs of vLLM's `AsyncLLM`, over an engine in this process."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._done: dict[str, Any] = {}
        self.vllm_config = llm.llm_engine.vllm_config

    async def generate(self, prompt: Any, params: Any, name: str) -> AsyncIterator[Any]:
        engine = self._llm.llm_engine
        engine.add_request(name, prompt, params)
        while name not in self._done:
            await asyncio.sleep(0)  # whoever asks at the same time joins the batch
            if engine.has_unfinished_requests():
                self._done |= {out.request_id: out for out in engine.step() if out.finished}
        yield self._done.pop(name)

    async def collective_rpc(self, method: str, args: tuple[Any, ...]) -> Any:
        return self._llm.collective_rpc(method, args=args)


class Reference:
    """transformers' Whisper with the same weights, decoding by Whisper's rules or freely."""

    def __init__(self, folder: Path, whisper: Whisper) -> None:
        from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

        self.whisper = whisper
        self._spectrum = WhisperFeatureExtractor.from_pretrained(folder)
        self.model = WhisperForConditionalGeneration.from_pretrained(
            folder, dtype="float32", attn_implementation="eager"
        ).eval()

    def features(self, sound: Any) -> Spectrum:
        """transformers' own spectrum of 30 seconds, for samples from -1 to 1."""
        mel: Spectrum = self._spectrum(sound, sampling_rate=RATE).input_features[0]
        return mel

    def write(self, mel: Spectrum, prompt: Sequence[int], most: int, *, rules: bool) -> Any:
        """New tokens, and the log-probability of each under the rules."""
        import torch
        from transformers import GenerationConfig, GenerationMixin

        end = self.whisper.vocabulary.end
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=most,
            eos_token_id=end,
            pad_token_id=end,
            output_scores=True,
            return_dict_in_generate=True,
        )
        # Whisper's own `generate` walks through windows; this is the search inside one.
        out = GenerationMixin.generate(
            self.model,
            torch.from_numpy(mel)[None],
            generation_config=config,
            decoder_input_ids=torch.tensor([prompt]),
            logits_processor=self._rules(len(prompt)) if rules else [],
        )
        tokens = out.sequences[0, len(prompt) :].tolist()
        scores = [step[0].log_softmax(-1) for step in out.scores]
        chosen = [float(step[token]) for step, token in zip(scores, tokens, strict=True)]
        return (tokens[:-1] if tokens[-1] == end else tokens), chosen

    def _rules(self, begin: int) -> Any:
        from types import SimpleNamespace

        from transformers.generation import logits_process as rules

        vocabulary = self.whisper.vocabulary
        facts = SimpleNamespace(
            no_timestamps_token_id=vocabulary.no_timestamps,
            eos_token_id=vocabulary.end,
            bos_token_id=vocabulary.end,
            max_initial_timestamp_index=50,
        )
        return [
            rules.SuppressTokensAtBeginLogitsProcessor(self.whisper.blank, begin),
            rules.SuppressTokensLogitsProcessor(self.whisper.suppressed),
            rules.WhisperTimeStampLogitsProcessor(facts, begin),
        ]

    def forward(self, mel: Spectrum, tokens: Sequence[int]) -> Any:
        """transformers' whole answer to a decoder input: logits, and attention over the sound."""
        import torch

        with torch.inference_mode():
            return self.model(
                torch.from_numpy(mel)[None],
                decoder_input_ids=torch.tensor([tokens]),
                output_attentions=True,
            )


@dataclass
class Subject:
    """A checkpoint that is served, and the reference for it."""

    sizes: WhisperDimensions
    llm: Any
    whisper: Whisper
    engine: WhisperEngine
    reference: Reference

    def prompt(self, before: list[int], language: str = "de") -> list[int]:
        """Up to the first token that is chosen freely."""
        forced = self.whisper.forced(language, "transcribe")
        return [*self.whisper.prompt(before), *(step[0] for step in forced)]

    def write(self, window: Window, task: Task, before: list[int]) -> Written:
        return asyncio.run(self.engine.write(window, task, before, 0.0))

    def window(self, number: int) -> Window:
        """Half a minute of a sound of its own."""
        random = np.random.default_rng(number)
        time = np.arange(30 * RATE) / RATE
        tones = [np.sin(2 * np.pi * f * time) for f in random.uniform(100, 4000, 3)]
        beat = 1 + np.sin(2 * np.pi * time * random.uniform(0.1, 3))
        sound = (4000 * beat * np.sum(tones, 0)).clip(-32768, 32767).astype(np.int16)
        mel = LogMel(sound, self.sizes.num_mel_bins).window(0, WINDOW_FRAMES)
        return Window(number, mel, 0, WINDOW_FRAMES)


@pytest.fixture(scope="module", params=KINDS)
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    layout, sizes, seed = KINDS[request.param]
    folder = tmp_path_factory.mktemp("whisper")
    weights: Weights = lively_weights(sizes, seed)
    plain = folder / "reference"
    write_layout(plain, "hf", sizes, weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENSORIUM_HOME", str(folder / "home"))
        path = loadable(str(write_layout(folder / "served", layout, sizes, weights)))
    names = [option.removeprefix("--").replace("-", "_") for option in SPEECH_OPTIONS[::2]]
    options: dict[str, Any] = dict(zip(names, SPEECH_OPTIONS[1::2], strict=True))
    options["logits_processors"] = [options["logits_processors"]]
    # An encoding is never cut in two.
    options |= {"max_model_len": sizes.max_target_positions, "max_num_batched_tokens": 2048}
    served = Served(Path(path), **options)
    whisper = read_whisper(Path(path))
    engine = WhisperEngine(InProcess(served.llm), whisper)
    yield Subject(sizes, served.llm, whisper, engine, Reference(plain, whisper))
    served.close()
    gc.collect()


@pytest.mark.parametrize("said", ["", " b4"], ids=["first", "after"])
def test_tokens_and_their_probabilities_are_transformers(subject: Subject, said: str) -> None:
    before = subject.whisper.vocabulary.encode(said) * 40
    windows = [subject.window(number) for number in (1, 2, 3)]
    task = Task(language="de" if subject.whisper.multilingual else "en")
    prompt = subject.prompt(before)

    async def all_at_once() -> list[Written]:
        asked = (subject.engine.write(window, task, before, 0.0) for window in windows)
        return await asyncio.gather(*asked)

    found = asyncio.run(all_at_once())
    for window, written in zip(windows, found, strict=True):
        most = min(subject.whisper.longest_text, subject.sizes.max_target_positions - len(prompt))
        tokens, logprobs = subject.reference.write(window.mel, prompt, most, rules=True)
        assert written.tokens == tokens
        assert written.logprobs == pytest.approx(logprobs[: len(tokens)], abs=CLOSE)
        assert written.average == pytest.approx(sum(logprobs) / (len(tokens) + 1), abs=CLOSE)
        assert written.prompt_tokens == len(prompt)
        logits = subject.reference.forward(window.mel, prompt).logits[0]
        start = len(subject.whisper.prompt(before)) - 1
        silence = float(logits[start].softmax(-1)[subject.whisper.vocabulary.no_speech])
        assert written.no_speech == pytest.approx(silence, rel=0.01, abs=1e-7)
    assert len({tuple(written.tokens) for written in found}) == 3, "the sound made no difference"
    stamps = subject.whisper.vocabulary.timestamps
    assert max(sum(token >= stamps for token in written.tokens) for written in found) > 2


def test_without_timestamps_vllm_s_own_route_gives_transformers_tokens(subject: Subject) -> None:
    from vllm import SamplingParams

    vocabulary = subject.whisper.vocabulary
    sound = np.sin(np.arange(5 * RATE) * 0.1).astype(np.float32)
    prompt = [*subject.prompt([]), vocabulary.no_timestamps]
    params = SamplingParams(temperature=0, max_tokens=16, stop_token_ids=[vocabulary.end])
    request = {
        "encoder_prompt": {"prompt": "", "multi_modal_data": {"audio": (sound, RATE)}},
        "decoder_prompt": {"prompt_token_ids": prompt},
    }
    answer = subject.llm.generate(request, params, use_tqdm=False)[0].outputs[0]
    mel = subject.reference.features(sound)
    tokens, _ = subject.reference.write(mel, prompt, 16, rules=False)
    assert [token for token in answer.token_ids if token != vocabulary.end] == tokens


def test_features_are_transformers(subject: Subject) -> None:
    sound = np.random.default_rng(7).integers(-9000, 9000, 30 * RATE).astype(np.int16)
    sound[: 10 * RATE] //= 50
    mine = LogMel(sound, subject.sizes.num_mel_bins).window(0, WINDOW_FRAMES)
    theirs = subject.reference.features(sound.astype(np.float32) / 32768)
    # At its end transformers mirrors the sound, where the authors take silence to follow.
    assert np.abs(mine - theirs)[:, :-2].max() < 1e-4


def test_the_language_is_the_likeliest_of_those_asked_about(subject: Subject) -> None:
    if not subject.whisper.multilingual:
        written = subject.write(subject.window(5), Task(), [])
        assert (written.language, written.prompt_tokens) == ("en", 1)
        return
    known = subject.whisper.vocabulary.languages
    window = subject.window(5)
    start = [subject.whisper.vocabulary.start]
    logits = subject.reference.forward(window.mel, start).logits[0, -1]
    for among in ((), ("fr", "ja", "so")):
        likeliest = max(among or known, key=lambda code: float(logits[known[code]]))
        assert subject.write(window, Task(among=among), []).language == likeliest
    assert len(known) == subject.sizes.vocab_size - 51_766


def test_attention_is_transformers(subject: Subject) -> None:
    import torch

    window = subject.window(6)
    text = subject.whisper.vocabulary.encode(" some words")
    tokens = [*subject.prompt([]), subject.whisper.vocabulary.no_timestamps, *text]
    tokens.append(subject.whisper.vocabulary.end)
    scores, probabilities = asyncio.run(subject.engine.attention(window, tokens))
    out = subject.reference.forward(window.mel, tokens)
    wanted = torch.stack([out.cross_attentions[at][0, head] for at, head in subject.whisper.heads])
    assert torch.from_numpy(scores.copy()).softmax(-1).numpy() == pytest.approx(
        wanted.numpy(), abs=1e-4
    )
    likely = out.logits[0, :-1, : tokens[-1]].softmax(-1)
    first = len(tokens) - 1 - len(text)
    said = [float(likely[at - 1, tokens[at]]) for at in range(first, len(tokens) - 1)]
    assert list(probabilities)[first - 1 : -1] == pytest.approx(said, abs=1e-5)
