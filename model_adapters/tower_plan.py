"""A tower as a plan has it: where it lies, and what is kept of its output.

A family has one tower, called `vision_tower` in the composed model, and a further one for each
modality that is seen by a tower of its own: `video_tower` for videos.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.spec import RawConfig, Tower
from sensorium.model_adapters.towers import KINDS
from sensorium.model_adapters.towers.find import TowerPlace, find_tower, measured, token_grid

__all__ = ["VISION_TOWER_PART", "TowerPlan", "pixels_seen", "place_and_plan", "tower_part"]

# The module of the tower that sees whatever has no tower of its own.
VISION_TOWER_PART = "vision_tower"


def tower_part(modality: str) -> str:
    """The module's name of a modality's own tower."""
    return f"{modality}_tower"


@dataclass(frozen=True)
class TowerPlan:
    """A tower, and what is kept of its output.

    `layers` is how many encoder layers run (the selected hidden state's index), `grid` the patches
    along an edge, `source` the folder or hub id that may hold the weights (`folder`: if a folder).
    `inside` says whether tensors of it in the checkpoint count. `skip` is how many rows of the
    features are cut off in front. `scales` are the sizes in pixels at which one picture is looked
    at, side by side in the features; none: at the tower's own.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    source: str
    folder: str | None
    layers: int
    keep_class_token: bool
    grid: int
    skip: int = 0
    scales: tuple[int, ...] = ()
    inside: Literal["used", "ignored"] = "used"

    def tokens(self) -> int:
        """Features of one square image."""
        class_token = self.keep_class_token and KINDS[self.kind].has_class_token
        return self.grid**2 + class_token - self.skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TowerPlan:
        """The plan that `asdict` wrote, also after a round trip through JSON."""
        return cls(**{**data, "scales": tuple(data["scales"])})


def place_and_plan(
    raw: RawConfig,
    family: str,
    kept: Tower,
    prefixes: tuple[str, ...],
    checkpoint: Path | None,
) -> tuple[TowerPlace, TowerPlan]:
    """Find a tower and read what is kept of it.

    `kept` is what the family says of it, `prefixes` what its tensors' names begin with in the
    checkpoint. Raises CheckpointError naming the key that cannot be served.
    """
    tower = measured(find_tower(raw, checkpoint, kept), prefixes, checkpoint)
    keep = _keep_class_token(raw, kept)
    return tower, TowerPlan(
        name=tower.name,
        kind=tower.kind,
        config=dict(tower.config),
        source=tower.source,
        folder=None if tower.folder is None else str(tower.folder),
        layers=_layers(raw, kept, tower),
        keep_class_token=keep,
        grid=token_grid({**tower.config, "image_size": pixels_seen(kept, tower)}),
        skip=int(kept.drops_first_patch and not keep),
        scales=_scales(raw, family, kept, tower),
        inside=kept.inside,
    )


def pixels_seen(kept: Tower, tower: TowerPlace) -> int:
    """The edge of the squares that the tower is given."""
    named = (size for text, size in kept.sizes if text in tower.name)
    return next(named, int(tower.config["image_size"]))


def _scales(raw: RawConfig, family: str, kept: Tower, tower: TowerPlace) -> tuple[int, ...]:
    """The sizes of multi-scale (S2) features, the tower's own one first."""
    if not raw.get("use_s2"):
        return ()
    if not kept.scales:
        raise CheckpointError(
            f"the config's `use_s2: {raw['use_s2']!r}` says multi-scale (S2) vision features, "
            f"which the family {family!r} does not serve"
        )
    value = raw.get("s2_scales") or kept.scales
    scales = tuple(sorted(int(size) for size in str(value).split(",")))
    own = int(tower.config["image_size"])
    if scales[0] != own or any(size % own for size in scales):
        raise CheckpointError(
            f"the config's `s2_scales` are {value!r}; they must be multiples of the tower's "
            f"{own} pixels, and the first one that"
        )
    return scales


def _layers(raw: RawConfig, kept: Tower, tower: TowerPlace) -> int:
    selected = kept.select_layer
    if selected is None:
        selected = int(raw.get("mm_vision_select_layer", -2))
    depth = int(tower.config["num_hidden_layers"])
    layers = selected if selected >= 0 else depth + 1 + selected
    if not 0 < layers <= depth:
        raise CheckpointError(
            f"the config's `mm_vision_select_layer` is {selected}; the tower has {depth} layers"
        )
    return layers


def _keep_class_token(raw: RawConfig, kept: Tower) -> bool:
    if kept.keep_class_token is not None:
        return kept.keep_class_token
    feature = raw.get("mm_vision_select_feature") or "patch"
    if feature not in ("patch", "cls_patch"):
        raise CheckpointError(
            f"the config's `mm_vision_select_feature` is {feature!r}; known: 'patch', 'cls_patch'"
        )
    return bool(feature == "cls_patch")
