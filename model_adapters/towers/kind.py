"""What towers of one kind share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Shapes", "TowerKind"]

# Of tensors, by their names within the tower.
Shapes = Mapping[str, tuple[int, ...]]
_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True)
class TowerKind:
    """A kind of vision tower: how it sees an image, and how its files name its tensors.

    `build` is "module:name" of what builds it for the engine; see `engine.towers`. `config_type` is
    the `model_type` of its transformers configuration ("" where it has none). `resize` is
    "shortest" (shorter edge to size, then centre crop), "squash" (both edges to size) or one of
    `plain_resizing.PLAIN` (as "shortest", but without antialiasing); `mean` and `std` are per
    channel of pixels scaled to 0..1. `defaults` are what published configs leave out.

    `prefix` is what every tensor's name begins with once it is whole; files of the bare tower leave
    it out, which `outer` (the names of other parts of the model it was published in) tells apart.
    `unused` matches tensors that features do not depend on, `layer` those of a numbered layer.
    `patch_embedding` is the path of the convolution, without padding, that normalising pixels is
    folded into; without one they are normalised before the tower. `measure`, for a tower whose
    config leaves its sizes to the authors' code, takes them from the shapes of the checkpoint's
    tensors. A tower that takes pictures of `any_size` is given those of the config's
    `mm_vision_resolution`.
    """

    name: str
    build: str
    config_type: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: str = "shortest"
    has_class_token: bool = True
    owner: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    outer: tuple[str, ...] = ()
    unused: re.Pattern[str] = _NEVER
    layer: re.Pattern[str] = _NEVER
    patch_embedding: str = ""
    any_size: bool = False
    measure: Callable[[Mapping[str, Any], Shapes], Mapping[str, Any]] | None = None
