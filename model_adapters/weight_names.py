"""Where each tensor of a checkpoint goes, by its name alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sensorium.model_adapters.plan import Plan, TowerPlan
from sensorium.model_adapters.spec import FamilySpec
from sensorium.model_adapters.tower_plan import VISION_TOWER_PART
from sensorium.model_adapters.towers import KINDS

__all__ = ["DROPPED", "Placement", "original_name", "place", "place_tower"]

DROPPED = "dropped"
# Tables that every implementation computes for itself.
_COMPUTED = re.compile(
    r"\.rotary_emb\.(inv_freq|cos_cached|sin_cached)$|\.embeddings\.position_ids$"
)


@dataclass(frozen=True)
class Placement:
    """Where a tensor goes: a name in the composed model, or `DROPPED` with the reason."""

    target: str
    reason: str = ""


def place(name: str, plan: Plan) -> Placement | None:
    """Where a tensor of the checkpoint goes; None where the family does not know it."""
    if _COMPUTED.search(name):
        return Placement(DROPPED, "computed anew")
    for prefix, target in plan.spec.weights:
        if name.startswith(prefix):
            if target is None:
                return Placement(DROPPED, "not used by this family")
            part = target.removesuffix(".")
            tower = plan.parts().get(part)
            if tower is None:
                return Placement(target + name.removeprefix(prefix))
            if tower.inside == "ignored":
                return Placement(DROPPED, "the authors load the separate tower")
            return place_tower(name.removeprefix(prefix), tower, part)
    return None


def place_tower(name: str, tower: TowerPlan, part: str = VISION_TOWER_PART) -> Placement:
    """Where a tensor of a tower goes, `name` as in the tower's own files, `part` its module."""
    kind = KINDS[tower.kind]
    if not name.startswith((kind.prefix, *kind.outer)):
        name = f"{kind.prefix}{name}"
    if kind.unused.search(name):
        return Placement(DROPPED, "not part of the features")
    if _COMPUTED.search(name):
        return Placement(DROPPED, "computed anew")
    layer = kind.layer.search(name)
    if layer is not None and int(layer[1]) >= tower.layers:
        return Placement(DROPPED, f"after the selected layer {tower.layers}")
    return Placement(f"{part}.{name}")


def original_name(target: str, spec: FamilySpec) -> str:
    """The checkpoint's own name of what goes to `target`; `target` itself if there is none."""
    for prefix, place_ in spec.weights:
        if place_ is not None and target.startswith(place_):
            return prefix + target.removeprefix(place_)
    return target
