"""Whatever layout a Whisper comes in, a folder that the engine can load.

OpenAI's and CTranslate2's files are rewritten once, into the folder where pulled models live, under
a name that changes with the file. Nothing is written beside the original.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from sensorium.model_adapters import store
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.whisper.layouts import (
    CTRANSLATE2,
    HUGGING_FACE,
    layout,
    original_file,
)
from sensorium.model_adapters.whisper.openai import convert_openai

__all__ = ["loadable"]


def loadable(source: str) -> str:
    """The folder to load for a path; anything that is no Whisper in a foreign layout stays as is.

    Raises CheckpointError for a damaged file.
    """
    path = Path(source).expanduser()
    kind = layout(path) if path.exists() else None
    if kind is None or kind == HUGGING_FACE:
        return source
    original = original_file(path) if kind != CTRANSLATE2 else path / "model.bin"
    assert original is not None
    name = _name(original)
    place = store.models_directory() / name
    with store.locked(name, _wait_quietly):
        if not store.is_whole(place):
            origin = {"source": str(original.resolve()), "layout": kind}
            store.install(name, origin, _writer(kind, path, original))
    return str(place)


def _writer(kind: str, path: Path, original: Path) -> Callable[[Path], None]:
    from sensorium.model_adapters.ct2.convert import convert_folder
    from sensorium.model_adapters.ct2.reader import CT2Error

    def write(folder: Path) -> None:
        try:
            if kind == CTRANSLATE2:
                convert_folder(path, folder)
            else:
                convert_openai(original, folder)
        except CT2Error as error:
            raise CheckpointError(f"{path}: {error}") from None

    return write


def _wait_quietly() -> None:
    """Another process is rewriting the same file; it takes seconds."""


def _name(original: Path) -> str:
    state = original.stat()
    what = f"{original.resolve()} {state.st_size} {state.st_mtime_ns}"
    label = original.parent.name if original.name == "model.bin" else original.stem
    plain = "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in label)
    return f"rewritten-{plain}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
