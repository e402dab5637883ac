"""Pictures and sounds of a folder as a model's inputs, prepared as a request's are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.processing import TimingContext
from vllm.multimodal.utils import group_and_batch_mm_kwargs

__all__ = ["media_batches"]

_PICTURES = (".jpg", ".jpeg", ".png", ".webp")
_SOUNDS = (".wav", ".flac")
# Enough to see a tower's outliers, few enough for a start-up.
_MOST = 16
_LONGEST_EDGE = 1024


def media_batches(
    model_config: Any, folder: Path, device: torch.device
) -> Iterator[Mapping[str, Any]]:
    """Arguments of `embed_multimodal` for each of the folder's first media, by their names.

    Raises ValueError for a folder that cannot be read or has nothing that the model takes.
    """
    processor = MULTIMODAL_REGISTRY.create_processor(model_config)
    taken = processor.info.supported_mm_limits
    found = [
        (modality, path)
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        for modality, endings in (("image", _PICTURES), ("audio", _SOUNDS))
        if modality in taken and path.suffix.lower() in endings
    ][:_MOST]
    if not found:
        kinds = " ".join(_PICTURES * ("image" in taken) + _SOUNDS * ("audio" in taken))
        raise ValueError(
            f"fp8 projection is decided on media: the folder {folder} has none that this model "
            f"takes ({kinds or 'it takes neither pictures nor sounds'})"
        )
    for modality, path in found:
        medium = _picture(path) if modality == "image" else _sound(path)
        inputs = processor.get_dummy_inputs(model_config.max_model_len, {modality: 1}, {})
        inputs.mm_data_items = processor.info.parse_mm_data({modality: [medium]}, validate=False)
        [item] = processor.apply(inputs, TimingContext(enabled=False))["mm_kwargs"][modality]
        for _, _, batch in group_and_batch_mm_kwargs([(modality, item)], device=device):
            yield batch


def _picture(path: Path) -> Any:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            loaded = picture.convert("RGB")
    except OSError as error:
        raise ValueError(f"cannot read the picture {path}: {error}") from None
    loaded.thumbnail((_LONGEST_EDGE, _LONGEST_EDGE))
    return loaded


def _sound(path: Path) -> tuple[Any, int]:
    import soundfile

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"cannot read the sound {path}: {error}") from None
    return samples.mean(axis=1), rate
