"""The sample files: what a user might draw, film or say, with seeds outside training."""

from __future__ import annotations

import argparse
import json
import random
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from sensorium.model_adapters.demo import SAMPLES
from sensorium.model_adapters.demo.clips import Clip, render_clip
from sensorium.model_adapters.demo.drawing import PAINT, Canvas, Thing, draw_thing
from sensorium.model_adapters.demo.fonts import load_font
from sensorium.model_adapters.demo.signals import RATE, Signal
from sensorium.model_adapters.demo.sounds import random_sound
from sensorium.model_adapters.demo.voices import speak_with_flite

__all__ = ["QUESTIONS", "configure", "render_samples", "run", "write_video", "write_wave"]

SEED: Final = 9_000_001
FRAMES_PER_SECOND: Final = 8
CLIP_SCALE: Final = 2

QUESTIONS: Final[dict[str, tuple[str, str]]] = {
    "shapes.png": (
        "Describe the image.",
        "A red circle, a blue square and a green triangle on a white background.",
    ),
    "stars.jpg": ("How many stars are there?", "3."),
    "sign.png": ("What does the sign say?", "STOP"),
    "number.jpg": ("Read the text.", "2048"),
    "moves.mp4": ("Which way does the circle move?", "To the right."),
    "beeps.wav": ("How many beeps do you hear?", "3."),
    "three_five.wav": ("What is said?", "Three five."),
    "start.wav": ("Transcribe the audio.", "Start."),
}
"""For every sample a question and its true answer."""


def _drawing(size: tuple[int, int], colour: str, things: list[Thing]) -> Image.Image:
    """A picture as a drawing program makes it; things are placed in pixels of the file."""
    canvas = Canvas(Image.new("RGB", size, PAINT[colour]), *size, 1.0, 1.0)
    for thing in things:
        draw_thing(canvas, thing)
    return canvas.image


def _thing(shape: str, colour: str, place: tuple[float, float], half: float) -> Thing:
    return Thing(shape, colour, PAINT[colour], *place, half)


def _shapes() -> Image.Image:
    things = [
        _thing("circle", "red", (130, 190), 70),
        _thing("square", "blue", (330, 150), 70),
        _thing("triangle", "green", (520, 210), 70),
    ]
    return _drawing((640, 360), "white", things)


def _stars() -> Image.Image:
    things = [
        _thing("star", "yellow", (200, 230), 110),
        _thing("star", "red", (560, 480), 120),
        _thing("star", "white", (960, 260), 120),
        _thing("circle", "orange", (1050, 560), 90),
    ]
    return _drawing((1280, 720), "blue", things)


def _print(image: Image.Image, text: str, place: tuple[int, int], pixels: int, ink: str) -> None:
    font = load_font("DejaVuSans-Bold.ttf", pixels)
    ImageDraw.Draw(image).text(place, text, font=font, fill=PAINT[ink], anchor="mm")


def _sign() -> Image.Image:
    image = Image.new("RGB", (640, 360), PAINT["grey"])
    ImageDraw.Draw(image).rounded_rectangle((120, 100, 520, 260), 16, fill=PAINT["red"])
    _print(image, "STOP", (320, 180), 120, "white")
    return image


def _number() -> Image.Image:
    image = Image.new("RGB", (800, 600), PAINT["white"])
    _print(image, "2048", (400, 260), 190, "black")
    return image


def _clip() -> Clip:
    rng = random.Random(SEED)
    while True:
        clip = render_clip(rng, (224, 128), 4 * FRAMES_PER_SECOND, "move")
        plain = clip.backdrop.colour == "white" and clip.bystander is None
        if plain and clip.direction == "right" and clip.thing.shape == "circle":
            return clip


def _beeps() -> Signal:
    return random_sound(random.Random(SEED), "beeps", 3).signal


def write_wave(path: Path, signal: Signal) -> None:
    """Write a mono 16-bit WAV file at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(signal, -1, 1) * 32767).astype("<i2").tobytes())


def write_video(path: Path, clip: Clip, rate: int, scale: int = CLIP_SCALE) -> None:
    """Write a clip as H.264 in MP4 at `rate` frames a second, enlarged `scale` times."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate), options={"crf": "20"})
        height, width = (side * scale for side in clip.frames.shape[1:3])
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for pixels in clip.frames:
            image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
            for packet in stream.encode(av.VideoFrame.from_image(image)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _writers() -> dict[str, Callable[[Path], None]]:
    def spoken(words: str, voice: str) -> Callable[[Path], None]:
        pause = np.zeros(RATE // 5, np.float32)

        def write(path: Path) -> None:
            said = speak_with_flite(words, voice, 1.05, None)
            write_wave(path, np.concatenate([pause, said, pause]))

        return write

    return {
        "shapes.png": lambda path: _shapes().save(path),
        "stars.jpg": lambda path: _stars().save(path, quality=90),
        "sign.png": lambda path: _sign().save(path),
        "number.jpg": lambda path: _number().save(path, quality=90),
        "moves.mp4": lambda path: write_video(path, _clip(), FRAMES_PER_SECOND),
        "beeps.wav": lambda path: write_wave(path, _beeps()),
        "three_five.wav": spoken("three five", "slt"),
        "start.wav": spoken("start", "rms"),
    }


def render_samples(folder: Path) -> list[Path]:
    """Write the sample files and `questions.json`, which has a question and answer for each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in _writers().items():
        write(folder / name)
    listed = {name: {"question": q, "answer": a} for name, (q, a) in QUESTIONS.items()}
    (folder / "questions.json").write_text(json.dumps(listed, indent=1) + "\n")
    return sorted(folder / name for name in QUESTIONS)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `render-samples`."""
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder for the files")


def run(args: argparse.Namespace) -> int:
    """Draw, film and speak the samples."""
    for path in render_samples(args.out):
        print(f"{path.stat().st_size:8,} bytes  {path}")
    return 0
