"""Audio models of vLLM's own classes: tokens and log-probabilities are the reference's."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorium.model_adapters.audio_models import audio_model
from tests.families.audio_checkpoints import BUILDERS
from tests.families.audio_reference import RATE, AudioReference, Sound, VoxtralReference, wav
from tests.families.minicpmo_reference import MiniCPMOReference
from tests.families.parity import TOLERANCE
from tests.families.phi4mm_reference import Phi4MMReference
from tests.families.served import Answer, Served
from tests.families.tiny import draw
from tests.families.ultravox_reference import UltravoxReference

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]


Reference = AudioReference | UltravoxReference | MiniCPMOReference | Phi4MMReference


@dataclass(frozen=True)
class Proof:
    """How one model is proven: what reads its checkpoint, and what the engine is told."""

    read: Callable[[Path], Reference]
    options: dict[str, Any] = field(default_factory=dict)


def transformers_class(kind: str, multiple: int = 1) -> Callable[[Path], AudioReference]:
    """The reference that is a class of transformers."""
    return lambda folder: AudioReference(folder, kind, multiple)


MISTRAL = {"tokenizer_mode": "mistral", "config_format": "mistral", "load_format": "mistral"}
ONE = {"limit_mm_per_prompt": {"audio": 1}}
# Without eyes, which in some of these models have no small form.
BLIND: dict[str, Any] = {"limit_mm_per_prompt": {"audio": 3, "image": 0, "video": 0}}
REMOTE: dict[str, Any] = {**BLIND, "trust_remote_code": True}
PROOFS = {
    "qwen2-audio": Proof(transformers_class("Qwen2AudioForConditionalGeneration")),
    "voxtral": Proof(VoxtralReference, {"limit_mm_per_prompt": {"audio": 3}, **MISTRAL}),
    "ultravox": Proof(UltravoxReference, {"limit_mm_per_prompt": {"audio": 3}}),
    "granite-speech": Proof(transformers_class("GraniteSpeechForConditionalGeneration"), ONE),
    "qwen2.5-omni": Proof(transformers_class("Qwen2_5OmniThinkerForConditionalGeneration")),
    "qwen3-omni": Proof(transformers_class("Qwen3OmniMoeThinkerForConditionalGeneration", 160)),
    "gemma-3n": Proof(transformers_class("Gemma3nForConditionalGeneration"), BLIND),
    "minicpm-o": Proof(MiniCPMOReference, REMOTE),
    "phi-4-multimodal": Proof(Phi4MMReference, REMOTE),
}


def sound(seconds: float, seed: int) -> Sound:
    """Noise whose loudness and pitch change, so that every second is another."""
    count = round(seconds * RATE)
    place = np.arange(count) / RATE
    tone = np.sin(2 * np.pi * place * (200 + 90 * seed + 40 * np.sin(place)))
    noise = draw((count,), seed, 0.1).numpy()
    samples: Sound = (0.3 * tone * (1 + np.sin(3 * place)) / 2 + noise).astype(np.float32)
    return samples


ODD = sound(2.3, 1)[:-17]
CASES: dict[str, tuple[str, tuple[Sound, ...]]] = {
    "text only": ("Who are you?", ()),
    "one sound": ("What is this?", (sound(1.6, 2),)),
    "an odd length": ("What is this?", (ODD,)),
    "two sounds of different lengths": ("Compare the two.", (sound(0.9, 3), sound(2.7, 4))),
}


def url(samples: Sound) -> str:
    """A WAV file with these very samples."""
    return "data:audio/wav;base64," + base64.b64encode(wav(samples)).decode()


def question(text: str, sounds: Sequence[Sound]) -> list[dict[str, Any]]:
    """One user turn: sounds, then text."""
    parts: list[dict[str, Any]] = [
        {"type": "audio_url", "audio_url": {"url": url(samples)}} for samples in sounds
    ]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def apartness(one: Answer, other: Answer) -> float:
    """How much the first tokens' likeliest candidates differ."""
    first, second = one.top[0], other.top[0]
    both = first.keys() & second.keys()
    return max((abs(first[token] - second[token]) for token in both), default=np.inf)


class Subject:
    """A checkpoint, served and read by its reference."""

    def __init__(self, name: str, served: Served, reference: Reference) -> None:
        self.name = name
        self.served = served
        self.reference = reference
        model = audio_model(name)
        assert model is not None
        self.model = model

    def compare(self, text: str, sounds: Sequence[Sound], answer: Answer) -> float:
        """The largest difference of log-probabilities; fails where ids differ."""
        prompt, tokens, rows = self.reference.answer(text, sounds)
        assert answer.prompt == prompt
        assert answer.tokens == tokens
        return max(
            abs(value - float(row[token]))
            for step, row in zip(answer.top, rows, strict=True)
            for token, value in step.items()
        )


@pytest.fixture(scope="module", params=PROOFS)
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    name = str(request.param)
    folder: Path = tmp_path_factory.mktemp("audio") / name
    BUILDERS[name](folder)
    proof = PROOFS[name]
    options = {
        "limit_mm_per_prompt": {"audio": 3, "image": 1, "video": 1},
        "max_model_len": 2048,
        **proof.options,
    }
    served = Served(folder, **options)
    yield Subject(name, served, proof.read(folder))
    served.close()


def test_equals_the_reference(subject: Subject) -> None:
    cases = {
        name: case
        for name, case in CASES.items()
        if subject.model.sounds is None or len(case[1]) <= subject.model.sounds
    }
    answers = subject.served.chat(*(question(*case) for case in cases.values()))
    # Sounds and texts must matter, or equality would say nothing.
    apart = [apartness(one, other) for one, other in combinations(answers, 2)]
    assert min(apart) > 10 * TOLERANCE, apart
    worst = {
        name: subject.compare(*case, answer)
        for (name, case), answer in zip(cases.items(), answers, strict=True)
    }
    assert max(worst.values()) < TOLERANCE, worst


def test_the_longest_sound_is_heard_to_its_end(subject: Subject) -> None:
    seconds = subject.model.seconds or 2 * (subject.model.window or 30)
    longest = sound(seconds, 5)
    changed = longest.copy()
    changed[-RATE:] = sound(1, 6)
    [answer, other] = subject.served.chat(
        question("What is this?", [longest]), question("What is this?", [changed])
    )
    worst = subject.compare("What is this?", [longest], answer)
    assert worst < TOLERANCE
    # What the last second changes must be seen: among a minute's tokens it is little.
    assert worst < apartness(answer, other) / 10


def test_a_longer_one_is_refused_by_its_length(subject: Subject) -> None:
    from vllm.exceptions import VLLMValidationError

    if subject.model.seconds is None:
        assert subject.model.too_long(3600) is None  # the context sets the end
        return
    short, longer = sound(1, 7), np.append(sound(subject.model.seconds, 8), np.float32(0.1))
    with pytest.raises(VLLMValidationError, match=r"Sound 2 .* 30\.00 s .* at most 30 s"):
        subject.served.chat(question("What is this?", [short, longer]))


async def test_the_media_path_says_which_part_is_too_long() -> None:
    from sensorium.serving.engine.connector import MediaError, SensoriumMediaConnector
    from sensorium.serving.media.origin import FIELD_OF_URL
    from sensorium.serving.media.pipeline import MediaPipeline
    from sensorium.serving.media.pool import PoolOptions

    address = url(sound(30.5, 9))
    pipeline = MediaPipeline(options=PoolOptions(1))
    pipeline.start()
    connector = SensoriumMediaConnector(media_io_kwargs={"audio": {"heard_by": "qwen2-audio"}})
    field = FIELD_OF_URL.set({address: "messages.0.content.1.audio_url.url"})
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SensoriumMediaConnector, "pipeline", pipeline)
            with pytest.raises(
                MediaError, match=r"30\.50 s .* Qwen2-Audio hears at most 30 s"
            ) as said:
                await connector.fetch_audio_async(address)
            samples, rate = await connector.fetch_audio_async(url(sound(1, 9)))
    finally:
        FIELD_OF_URL.reset(field)
        pipeline.close()
    assert said.value.parameter == "messages.0.content.1.audio_url.url"
    assert (len(samples), rate) == (RATE, RATE)
