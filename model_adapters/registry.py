"""Which family a checkpoint belongs to, told by its config alone.

The table in `families.table` is all that is read until a family is recognised; its spec is
imported then.
`model_type` is never trusted by itself: half a dozen families that differ write "llava" there.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from sensorium.model_adapters.errors import (
    CheckpointError,
    UnconfirmedFamilyError,
    UnknownFamilyError,
)
from sensorium.model_adapters.language_models import guess_language_model
from sensorium.model_adapters.spec import FamilySpec, LanguageModel, RawConfig

__all__ = [
    "FAMILY_KEY",
    "Entry",
    "Match",
    "Registry",
    "architecture_of",
    "families",
    "recognise",
]

# A key that a user's overrides may add to a config: the name of the family to serve it as.
FAMILY_KEY = "sensorium_family"


@dataclass(frozen=True)
class Entry:
    """A family in the table: its name, where its spec is, and what its configs look like.

    A config belongs to the entry when its architecture is one of `architectures` (none: any), it
    has every key of `needs`, and the text of each key of `when` is matched by its pattern, wholly.
    An entry that names architectures goes before one that does not, then the one with more
    conditions. An entry `by_name` is taken only where a config names it under `FAMILY_KEY`.
    """

    name: str
    spec: str
    architectures: tuple[str, ...] = ()
    when: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ("mm_vision_tower",)
    by_name: bool = False

    def load(self) -> FamilySpec:
        """Import the family's spec."""
        module, _, attribute = self.spec.partition(":")
        return cast(FamilySpec, getattr(importlib.import_module(module), attribute))

    def fits(self, raw: RawConfig) -> bool:
        """Whether the config is one of this family's."""
        if self.by_name:
            return False
        if self.architectures and architecture_of(raw) not in self.architectures:
            return False
        if not self.architectures and "vision_config" in raw and "text_config" in raw:
            return False  # Hugging Face's layout
        if any(raw.get(key) is None for key in self.needs):
            return False
        return all(re.fullmatch(form, str(raw.get(key))) for key, form in self.when.items())


@dataclass(frozen=True)
class Match:
    """A recognised family. `why` says by what; `certain` is False where parts were guessed.

    `config` is the checkpoint's config in LLaVA's flat keys; its architecture may be that of the
    language model alone, and it is by this one that conversation styles are chosen. `chosen`: the
    user named the family.
    """

    spec: FamilySpec
    config: RawConfig
    language_model: LanguageModel
    why: str
    certain: bool
    chosen: bool = False


class Registry:
    """The table of families; names and recognition rules are unique."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def add(self, entry: Entry) -> None:
        """Add a family; raises ValueError for a name or a rule that is taken."""
        if entry.name in self._entries:
            raise ValueError(f"a family named {entry.name!r} is registered already")
        others = () if entry.by_name else self._entries.values()
        for other in others:
            shared = set(entry.architectures) & set(other.architectures)
            if (shared or not (entry.architectures or other.architectures)) and (
                dict(entry.when) == dict(other.when) and not other.by_name
            ):
                raise ValueError(
                    f"families {entry.name!r} and {other.name!r} claim the same configs: "
                    f"{', '.join(sorted(shared)) or 'any architecture'} {dict(entry.when)}"
                )
        self._entries[entry.name] = entry

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __getitem__(self, name: str) -> FamilySpec:
        return self._entry(name).load()

    def _entry(self, name: str) -> Entry:
        if name not in self._entries:
            near = difflib.get_close_matches(name, self._entries, n=3, cutoff=0.3)
            raise UnknownFamilyError(
                f"no family is named {name!r}; near it: {', '.join(near) or 'none'}"
            )
        return self._entries[name]

    def match(self, raw: RawConfig) -> Match | None:
        """The family of a config in its authors' layout; None for configs that are not ours.

        A config with `FAMILY_KEY` belongs to the family that the key names. Raises
        UnknownFamilyError for a LLaVA-like config whose language model is unknown,
        UnconfirmedFamilyError for one of a family that has to be named and is not, and
        CheckpointError for one that has not what the named family reads.
        """
        chosen = raw.get(FAMILY_KEY)
        fitting = [entry for entry in self if entry.fits(raw)]
        if chosen is not None:
            entry = self._entry(str(chosen))
            _require(entry, raw)
        elif fitting:
            entry = max(fitting, key=lambda entry: (bool(entry.architectures), len(entry.when)))
        else:
            return None
        spec = entry.load()
        if spec.unconfirmed and chosen is None:
            raise UnconfirmedFamilyError(_not_asked_for(spec, raw))
        config = raw if spec.read is None else spec.read(raw)
        # A spec's `read` names the language model where the config names only the whole.
        name = architecture_of(config)
        known = spec.language_models.get(name)
        if known is not None:
            seen = [
                f"architecture {architecture_of(raw)}",
                *(f"{key} {textwrap.shorten(str(raw.get(key)), 60)}" for key in entry.when),
            ]
            if chosen is not None:
                seen.append("chosen by name")
            why = " and ".join(seen)
            return Match(spec, config, known, why, certain=True, chosen=chosen is not None)
        guess = guess_language_model(name, str(raw.get("model_type", "")))
        if guess is None:
            raise UnknownFamilyError(self._unknown(raw))
        why = f"laid out as LLaVA is, and {name or raw.get('model_type')!r} speaks of a "
        why += f"{guess.config_type} language model"
        return Match(spec, config, guess, why, certain=False, chosen=chosen is not None)

    def _unknown(self, raw: RawConfig) -> str:
        known = {name for entry in self for name in entry.architectures}
        name = architecture_of(raw)
        near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.3)
        seen = {key: raw[key] for key in _TELLING if key in raw}
        return (
            f"no language model is known for architecture {name!r} "
            f"(seen in the config: {seen}); the nearest known: {', '.join(near) or 'none'}"
        )


def _require(entry: Entry, raw: RawConfig) -> None:
    absent = [key for key in entry.needs if raw.get(key) is None]
    if absent:
        raise CheckpointError(
            f"the family {entry.name!r} was asked for, which reads {', '.join(absent)} from the "
            f"config; that of {architecture_of(raw) or 'this checkpoint'!r} has no such key"
        )


def _not_asked_for(spec: FamilySpec, raw: RawConfig) -> str:
    return (
        f"the config of {architecture_of(raw)!r} is one of the family {spec.name!r}, which is "
        f"unconfirmed: {spec.unconfirmed}. It is served only on request: --family {spec.name}"
    )


_TELLING = ("model_type", "mm_vision_tower", "mm_projector_type", "image_aspect_ratio")


def architecture_of(raw: RawConfig) -> str:
    """The first entry of `architectures`, or an empty text."""
    names = raw.get("architectures") or [""]
    return str(names[0])


def families() -> Registry:
    """The table of every family that is known."""
    return _table()


@functools.cache
def _table() -> Registry:
    from sensorium.model_adapters.families.table import ENTRIES

    table = Registry()
    for entry in ENTRIES:
        table.add(entry)
    return table


def recognise(raw: RawConfig) -> Match | None:
    """The family of a config, by the table; see `Registry.match`."""
    return families().match(raw)
