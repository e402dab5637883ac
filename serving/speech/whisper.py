"""What the server must know of a Whisper: its vocabulary, its sizes, and where it aligns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sensorium.serving.errors import EngineStartError
from sensorium.serving.speech.vocabulary import Vocabulary, VocabularyError, load_vocabulary

__all__ = ["Whisper", "find_whisper", "read_whisper"]

_ENGLISH_END = 50_256


@dataclass(frozen=True)
class Whisper:
    """A checkpoint's facts.

    `heads` are (layer, head) pairs whose attention follows the sound. `suppressed` ids are never
    written, `blank` ones never first: the checkpoint's own lists, else the authors'.
    """

    vocabulary: Vocabulary
    multilingual: bool
    mel_bins: int
    source_positions: int
    target_positions: int
    heads: tuple[tuple[int, int], ...]
    suppressed: list[int]
    blank: list[int]

    @property
    def longest_text(self) -> int:
        """Most tokens written for a window."""
        return self.target_positions // 2

    def prompt(self, before: list[int]) -> list[int]:
        """The decoder's input up to and with the start token.

        `before` is what was said before, or a text in the style wanted; its end is kept.
        """
        vocabulary = self.vocabulary
        kept = before[-(self.target_positions // 2 - 1) :]
        return [vocabulary.previous, *kept, vocabulary.start] if kept else [vocabulary.start]

    def forced(self, language: str | None, task: str, among: Sequence[str] = ()) -> list[list[int]]:
        """What the tokens after the start token may be; without a language the model chooses.

        It chooses `among` some languages, or all where none are named.
        """
        vocabulary = self.vocabulary
        if not self.multilingual:
            return []
        known = vocabulary.languages
        codes = [language] if language else among or known
        languages = sorted(known[code] for code in codes)
        return [languages, [vocabulary.task(task)]]


def find_whisper(source: str) -> Whisper | None:
    """The facts of a Whisper in a folder or on a hub, or None for any other model.

    Of a model on a hub only its small files are looked at. Raises EngineStartError for a Whisper
    whose tokenizer cannot be used.
    """
    folder = Path(source) if Path(source).is_dir() else _from_hub(source)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return None  # vLLM will say what is wrong with it
    if folder is None or config.get("model_type") != "whisper":
        return None
    try:
        return read_whisper(folder)
    except (VocabularyError, KeyError) as error:
        raise EngineStartError(f"{source}: {error}") from None


def _from_hub(source: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    names = ("config.json", "tokenizer.json", "generation_config.json")
    try:
        paths = [Path(hf_hub_download(source, name)) for name in names[:1]]
        config = json.loads(paths[0].read_text(encoding="utf-8"))
        if config.get("model_type") == "whisper":
            paths += [Path(hf_hub_download(source, name)) for name in names[1:]]
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError):
        return None
    return paths[0].parent


def read_whisper(folder: Path) -> Whisper:
    """Read a Hugging Face checkpoint's JSON files; raises VocabularyError or OSError."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    path = folder / "generation_config.json"
    generation = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    vocabulary = load_vocabulary(folder)
    never = generation.get("suppress_tokens")
    first = generation.get("begin_suppress_tokens")
    layers, heads = config["decoder_layers"], config["decoder_attention_heads"]
    aligned = generation.get("alignment_heads") or config.get("alignment_heads")
    if not aligned:
        # The authors' choice where nobody has looked: every head of the upper half.
        aligned = [[at, head] for at in range(layers // 2, layers) for head in range(heads)]
    return Whisper(
        vocabulary=vocabulary,
        multilingual=bool(generation.get("is_multilingual", vocabulary.end != _ENGLISH_END)),
        mel_bins=config.get("num_mel_bins", 80),
        source_positions=config.get("max_source_positions", 1500),
        target_positions=config.get("max_target_positions", 448),
        heads=tuple((int(at), int(head)) for at, head in aligned),
        suppressed=vocabulary.suppressed if never is None else sorted({*never, *vocabulary.silent}),
        blank=vocabulary.blank if first is None else list(first),
    )
