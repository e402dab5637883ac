"""What a folder with a language model alone holds and how it would be served.

Needs the config; an index or weight files add what is known of the tensors. Imports no torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sensorium.model_adapters.conversation import choose_text_style
from sensorium.model_adapters.inspection import (
    absent_from_layers,
    cache_bytes,
    layer_holes,
    weight_bytes,
)
from sensorium.model_adapters.language_models.text_models import find_text_model
from sensorium.model_adapters.tensor_files import TensorFiles, scan
from sensorium.model_adapters.translation import Translation

__all__ = ["TextInspection", "inspect_text"]


@dataclass(frozen=True)
class TextInspection:
    """The findings; `to_dict` is what `sensorium inspect --json` prints.

    `context` is how many tokens fit, `prompt_style` and `sample` are None for a model that only
    continues texts, `weight_bytes` is None where sizes are not known, `placed` and `dropped` count
    tensors, and `problems` is what keeps the checkpoint from being served.
    """

    path: str
    family: str
    title: str
    why: str
    architecture: str
    language_model: str
    context: int
    prompt_style: str | None
    sample: str | None
    stops: tuple[str, ...]
    weight_bytes: int | None
    cache_bytes_per_token: int | None
    placed: int
    dropped: int
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able data."""
        return asdict(self)


def inspect_text(folder: Path) -> TextInspection | None:
    """Read a folder; None where it holds no text model in its authors' layout.

    Raises CheckpointError for a config that says something which is not served.
    """
    found = find_text_model(folder)
    if found is None:
        return None
    raw, model = found
    translation = model.language_model.translation
    assert translation is not None
    fields = translation.fields(raw)
    files = scan(folder)
    style = choose_text_style(raw, model, folder)
    targets = [target for name in files.tensors for target in translation.targets(name)]
    taken = sum(bool(translation.targets(name)) for name in files.tensors)
    kind = model.language_model.tokenizer
    tokenizers = (kind.file,) if kind is not None else ("tokenizer.json", "vocab.json")
    problems = [*_file_problems(files), *_holes(targets, translation)]
    if not any((folder / name).is_file() for name in tokenizers):
        problems.append(f"no tokenizer file ({' or '.join(tokenizers)})")
    return TextInspection(
        path=str(folder),
        family=model.name,
        title=model.title,
        why=f"architecture {raw['architectures'][0]}",
        architecture=str(raw["architectures"][0]),
        language_model=model.language_model.architecture,
        context=int(fields["max_position_embeddings"]),
        prompt_style=None if style is None else style.name,
        sample=None if style is None else style.render([("user", "Who are you?")]),
        stops=() if style is None else style.stops,
        weight_bytes=_bytes(folder, files, translation),
        cache_bytes_per_token=cache_bytes(fields),
        placed=taken,
        dropped=len(files.tensors) - taken,
        problems=tuple(problems),
    )


def _file_problems(files: TensorFiles) -> list[str]:
    if files.missing:
        return [f"weight files that the index names are absent: {files.absent()}"]
    return [] if files.files else ["no weight file (*.safetensors, *.bin, *.pth)"]


def _holes(targets: list[str], translation: Translation) -> list[str]:
    """Tensors that some layers lack, under the checkpoint's own names."""
    return absent_from_layers(
        sorted({translation.original(target) for target in layer_holes(targets)})
    )


def _bytes(folder: Path, files: TensorFiles, translation: Translation) -> int | None:
    """Model-parallel files share their tensors' names, so there the files themselves count."""
    if translation.shard_axes:
        return sum((folder / name).stat().st_size for name in files.files)
    return weight_bytes(folder, files)
