"""`sensorium inspect`: say how a checkpoint would be served, without loading it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sensorium.model_adapters.audio_inspection import AudioInspection, inspect_audio
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.inspection import Inspection, inspect_checkpoint
from sensorium.model_adapters.text_inspection import TextInspection, inspect_text
from sensorium.model_adapters.whisper.layouts import WhisperCheckpoint, inspect_whisper
from sensorium.serving.errors import UserError
from sensorium.serving.model_choices import CHOICES
from sensorium.serving.settings import OPTIONS, hand_down

__all__ = ["SUMMARY", "configure", "run"]

SUMMARY = "say how a checkpoint would be served, without loading it"
_Found = Inspection | TextInspection | WhisperCheckpoint | AudioInspection
_TEMPLATE = {True: "the checkpoint's own template", False: "none is here; give --chat-template"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `sensorium inspect`."""
    parser.add_argument(
        "path", metavar="PATH", help="the checkpoint's folder, or a Whisper's .pt file"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a text")
    for option in OPTIONS:
        if option.name in CHOICES:
            parser.add_argument(
                f"--{option.name}",
                action="append",
                default=[],
                metavar=option.metavar,
                help=option.help,
            )


def run(args: argparse.Namespace, rest: Sequence[str] = ()) -> int:
    """Print the findings; exit code 1 where something keeps the checkpoint from being served."""
    path = Path(args.path).expanduser()
    if not path.exists():
        raise UserError(f"{args.path} does not exist")
    found: _Found | None
    hand_down(args)
    try:
        found = inspect_whisper(path)
        if found is None:
            if not path.is_dir():
                raise UserError(f"{args.path} is neither a folder nor a Whisper's .pt file")
            found = inspect_audio(path) or inspect_text(path) or inspect_checkpoint(path)
    except CheckpointError as error:
        raise UserError(str(error)) from None
    if args.json:
        print(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        print(_lines(_rows(found), found.problems))
    return 1 if found.problems else 0


def _rows(found: _Found) -> list[tuple[str, str]]:
    if isinstance(found, WhisperCheckpoint):
        return _whisper_rows(found)
    if isinstance(found, AudioInspection):
        return _audio_rows(found)
    return _text_rows(found) if isinstance(found, TextInspection) else _composed_rows(found)


def _whisper_rows(found: WhisperCheckpoint) -> list[tuple[str, str]]:
    sizes = found.dimensions
    languages = f"{found.languages} languages" if found.multilingual else "English only"
    layers = f"{sizes.encoder_layers} + {sizes.decoder_layers}"
    return [
        ("family", "Whisper: writes down speech"),
        ("layout", f"{found.layout}, {found.path}"),
        ("languages", languages),
        ("size", f"width {sizes.d_model}, layers {layers}, {sizes.num_mel_bins} mel bins"),
        ("vocabulary", f"{sizes.vocab_size} tokens"),
        ("weights", _size(found.weight_bytes)),
    ]


def _audio_rows(found: AudioInspection) -> list[tuple[str, str]]:
    longest = "as long as the context holds" if found.seconds is None else f"{found.seconds:g} s"
    rows = [
        ("family", f"{found.family}: {found.title}"),
        ("served by", f"vLLM's own class for {found.architecture}, with Sensorium's entry"),
        ("takes", ", ".join(found.modalities)),
        ("hears", f"{found.rate} Hz, one channel; {found.tokens_per_second:g} tokens a second"),
        ("longest sound", f"{longest}; {found.beyond}"),
        ("sounds", "as many as allowed" if found.sounds is None else f"at most {found.sounds}"),
        ("in the prompt", repr(found.placeholder)),
        ("conversation", _TEMPLATE[found.template]),
        ("sampling", _pairs(found.sampling) or "the engine's defaults"),
        ("weights", _size(found.weight_bytes)),
        ("limits", found.limits or "none known"),
    ]
    return [*rows, ("needs", found.needs)] if found.needs else rows


def _lines(rows: Sequence[tuple[str, str]], problems: Sequence[str]) -> str:
    last = ("problems", "none" if not problems else "")
    lines = [f"{name:<15} {value}".rstrip() for name, value in (*rows, last)]
    return "\n".join([*lines, *(f"  - {problem}" for problem in problems)])


def _composed_rows(found: Inspection) -> list[tuple[str, str]]:
    doubt = "" if found.certain else " (a guess: check the answers)"
    return [
        ("family", f"{found.family}: {found.title}{doubt}"),
        ("because", found.why),
        *([("unconfirmed", found.unconfirmed)] if found.unconfirmed else []),
        ("needs", found.base or "no other model"),
        ("language model", f"{found.language_model} in {found.architecture}"),
        ("vision tower", f"{found.tower} ({found.tower_kind}, {found.tower_layers} layers)"),
        ("its weights", found.tower_weights),
        *((f"{modality} tower", told) for modality, told in found.towers.items()),
        ("projector", found.projector),
        ("image tokens", _counts_by(found.image_tokens) or "takes no images"),
        ("video tokens", _counts_by(found.video_tokens) or "takes no videos"),
        ("conversation", f"{found.prompt_style}: {found.sample!r}"),
        ("sampling", _pairs(found.generation) or "the engine's defaults"),
        *_common_rows(found),
        ("tensors", _counts(found.placed) or "none were seen"),
        ("not used", _counts(found.dropped) or "none"),
    ]


def _text_rows(found: TextInspection) -> list[tuple[str, str]]:
    conversation = "none: the model continues texts"
    if found.sample is not None:
        conversation = f"{found.prompt_style}: {found.sample!r}"
    return [
        ("family", f"{found.family}: {found.title}"),
        ("because", found.why),
        ("language model", f"{found.language_model} in {found.architecture}, text only"),
        ("context", f"{found.context} tokens"),
        ("conversation", conversation),
        *_common_rows(found),
        ("tensors", str(found.placed) if found.placed else "none were seen"),
        ("not used", str(found.dropped) if found.dropped else "none"),
    ]


def _common_rows(found: Inspection | TextInspection) -> list[tuple[str, str]]:
    return [
        ("stops", " ".join(found.stops) or "the tokenizer's end token"),
        ("weights", _size(found.weight_bytes)),
        ("cache", f"{_size(found.cache_bytes_per_token)} a token in 16 bits"),
    ]


def _counts_by(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{size}: {tokens}" for size, tokens in sizes.items())


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _pairs(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _size(size: int | None) -> str:
    if size is None:
        return "unknown"
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_:
            return f"{size / bytes_:.1f} {unit}"
    return f"{size} bytes"
