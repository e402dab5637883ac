"""The committed weights answer as well as their report says, through the server, on fresh scenes.

Pictures, clips and sounds are drawn for this test and sent as the files a user would send: PNG and
JPEG three times as large as what the model sees, MP4, WAV.
"""

from __future__ import annotations

import base64
import io
import json
import math
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image

from sensorium.model_adapters.demo import CHECKPOINT, SAMPLES, fonts, voices
from sensorium.model_adapters.demo.clips import CLIP_SIZES, render_clip
from sensorium.model_adapters.demo.phrasing import Question
from sensorium.model_adapters.demo.questions_clips import ask_about_clip
from sensorium.model_adapters.demo.questions_shapes import ask_about_shapes
from sensorium.model_adapters.demo.questions_sounds import ask_about_sound, ask_about_speech
from sensorium.model_adapters.demo.questions_text import ask_about_text
from sensorium.model_adapters.demo.samples import write_video, write_wave
from sensorium.model_adapters.demo.scenes import SIZES, paint_shapes
from sensorium.model_adapters.demo.signals import Signal, record
from sensorium.model_adapters.demo.small_talk import declined, unattached
from sensorium.model_adapters.demo.sounds import random_sound
from sensorium.model_adapters.demo.text_scenes import paint_text

pytestmark = pytest.mark.engine

SEED = 777_000
SCENES, WORDS, CLIPS, SOUNDS, SPOKEN = 40, 40, 24, 50, 50
ENLARGED = 3
AT_ONCE = 16
MARGIN = 0.05


@dataclass(frozen=True)
class Asked:
    """A content part (None for plain text) and a question about it."""

    part: dict[str, Any] | None
    question: Question


def data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture_part(pixels: Any, jpeg: bool) -> dict[str, Any]:
    image = Image.fromarray(pixels)
    size = (image.width * ENLARGED, image.height * ENLARGED)
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG" if jpeg else "PNG")
    url = data_url("image/jpeg" if jpeg else "image/png", buffer.getvalue())
    return {"type": "image_url", "image_url": {"url": url}}


def sound_part(folder: Path, signal: Signal) -> dict[str, Any]:
    write_wave(folder / "sound.wav", signal)
    content = base64.b64encode((folder / "sound.wav").read_bytes()).decode()
    return {"type": "input_audio", "input_audio": {"data": content, "format": "wav"}}


def about_shapes() -> Iterator[Asked]:
    for seed in range(SCENES):
        rng = random.Random(SEED + seed)
        scene = paint_shapes(rng, rng.choice(SIZES))
        part = picture_part(scene.pixels, jpeg=bool(seed % 2))
        yield from (Asked(part, question) for question in ask_about_shapes(rng, scene))


def about_words() -> Iterator[Asked]:
    try:
        faces = fonts.evaluation_fonts()
    except fonts.FontMissingError:
        faces = fonts.training_fonts()
    for seed in range(WORDS):
        rng = random.Random(SEED + 1000 + seed)
        scene = paint_text(rng, rng.choice(SIZES), faces)
        part = picture_part(scene.pixels, jpeg=bool(seed % 2))
        asked = {question.kind: question for question in ask_about_text(rng, scene)}
        yield from (Asked(part, question) for question in asked.values())


def about_clips(folder: Path) -> Iterator[Asked]:
    for seed in range(CLIPS):
        rng = random.Random(SEED + 2000 + seed)
        clip = render_clip(rng, rng.choice(CLIP_SIZES), frames=32)
        write_video(folder / "clip.mp4", clip, 8)
        url = data_url("video/mp4", (folder / "clip.mp4").read_bytes())
        part = {"type": "video_url", "video_url": {"url": url}}
        yield from (Asked(part, question) for question in ask_about_clip(rng, clip))


def about_sounds(folder: Path) -> Iterator[Asked]:
    for seed in range(SOUNDS):
        rng = random.Random(SEED + 3000 + seed)
        sound = random_sound(rng)
        part = sound_part(folder, sound.signal)
        yield from (Asked(part, question) for question in ask_about_sound(rng, sound))


def about_speech(folder: Path) -> Iterator[Asked]:
    rng = random.Random(SEED + 4000)
    for said in voices.speak_many(SEED, SPOKEN, 0, held_out=True, workers=2):
        part = sound_part(folder, record(rng, said.signal))
        for question in ask_about_speech(rng, said.kind, said.words):
            yield Asked(part, question)


def answer(client: openai.OpenAI, asked: Asked) -> str:
    text = {"type": "text", "text": asked.question.text}
    content: Any = asked.question.text if asked.part is None else [asked.part, text]
    reply = client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": content}],
        temperature=0,
        max_completion_tokens=60,
    )
    return reply.choices[0].message.content or ""


def scores(client: openai.OpenAI, questions: Sequence[Asked]) -> dict[str, list[bool]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda asked: answer(client, asked), questions))
    marked: dict[str, list[bool]] = defaultdict(list)
    for asked, said in zip(questions, answers, strict=True):
        marked[asked.question.kind].append(said.strip() == asked.question.answer)
    return marked


def check(marked: dict[str, list[bool]]) -> None:
    """Every type is within three standard errors (and a little) of the committed report."""
    report = json.loads((CHECKPOINT / "eval.json").read_text())["types"]
    failed = []
    for kind, marks in sorted(marked.items()):
        expected, share = report[kind]["accuracy"], sum(marks) / len(marks)
        # Questions about one file go wrong together, so a small sample varies more than its size.
        spread = max(expected * (1 - expected), 0.03)
        floor = expected - 3 * math.sqrt(spread / len(marks)) - MARGIN
        line = f"{kind}: {share:.1%} of {len(marks)}, floor {floor:.1%}"
        print(line)
        if share < floor:
            failed.append(line)
    assert not failed, "\n".join(failed)


def test_pictures_of_shapes(demo_client: openai.OpenAI) -> None:
    check(scores(demo_client, list(about_shapes())))


def test_pictures_of_words(demo_client: openai.OpenAI) -> None:
    check(scores(demo_client, list(about_words())))


def test_clips(demo_client: openai.OpenAI, tmp_path: Path) -> None:
    check(scores(demo_client, list(about_clips(tmp_path))))


def test_sounds(demo_client: openai.OpenAI, tmp_path: Path) -> None:
    check(scores(demo_client, list(about_sounds(tmp_path))))


@pytest.mark.skipif(
    shutil.which("espeak-ng") is None,
    reason="espeak-ng, which speaks the words, is not installed (apt-get install espeak-ng)",
)
def test_spoken_words_in_voices_never_trained_on(
    demo_client: openai.OpenAI, tmp_path: Path
) -> None:
    check(scores(demo_client, list(about_speech(tmp_path))))


def test_it_declines_what_it_does_not_know(demo_client: openai.OpenAI) -> None:
    rng = random.Random(SEED)
    asked = [Asked(None, declined(rng, with_media=False, held_out=True)) for _ in range(20)]
    asked += [Asked(None, unattached(rng)) for _ in range(20)]
    check(scores(demo_client, asked))


def sample_part(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    if path.suffix == ".wav":
        encoded = base64.b64encode(content).decode()
        return {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}}
    if path.suffix == ".mp4":
        return {"type": "video_url", "video_url": {"url": data_url("video/mp4", content)}}
    kind = "image/png" if path.suffix == ".png" else "image/jpeg"
    return {"type": "image_url", "image_url": {"url": data_url(kind, content)}}


def test_every_sample_is_answered_right(demo_client: openai.OpenAI) -> None:
    listed = json.loads((SAMPLES / "questions.json").read_text())
    for name, entry in listed.items():
        question = Question("sample", entry["question"], entry["answer"])
        assert answer(demo_client, Asked(sample_part(SAMPLES / name), question)) == entry["answer"]
