"""Where each tensor of a checkpoint goes, by its name alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sensorium.model_adapters.spec import FamilySpec

__all__ = ["DROPPED", "Placement", "original_name", "place", "place_tower"]

DROPPED = "dropped"
# Tables that every implementation computes for itself.
_COMPUTED = re.compile(
    r"\.rotary_emb\.(inv_freq|cos_cached|sin_cached)$|\.embeddings\.position_ids$"
)
# What a CLIP or SigLIP tower has beside the layers that are used.
_UNUSED_IN_TOWER = re.compile(
    r"^(text_model|text_projection|visual_projection|logit_scale|logit_bias)\b|"
    r"vision_model\.(post_layernorm|head)\."
)
_LAYER = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.")


@dataclass(frozen=True)
class Placement:
    """Where a tensor goes: a name in the composed model, or `DROPPED` with the reason."""

    target: str
    reason: str = ""


def place(name: str, spec: FamilySpec, tower_layers: int) -> Placement | None:
    """Where a tensor of the checkpoint goes; None where the family does not know it."""
    if _COMPUTED.search(name):
        return Placement(DROPPED, "computed anew")
    for prefix, target in spec.weights:
        if name.startswith(prefix):
            if target is None:
                return Placement(DROPPED, "not used by this family")
            if target == "vision_tower.":
                if spec.tower.inside == "ignored":
                    return Placement(DROPPED, "the authors load the separate tower")
                return place_tower(name.removeprefix(prefix), tower_layers)
            return Placement(target + name.removeprefix(prefix))
    return None


def place_tower(name: str, tower_layers: int) -> Placement:
    """Where a tensor of a CLIP or SigLIP model goes, `name` as in that model's own files."""
    if not name.startswith(("vision_model.", "text_", "visual_", "logit_")):
        name = f"vision_model.{name}"
    if _UNUSED_IN_TOWER.search(name):
        return Placement(DROPPED, "not part of the features")
    if _COMPUTED.search(name):
        return Placement(DROPPED, "computed anew")
    layer = _LAYER.search(name)
    if layer is not None and int(layer[1]) >= tower_layers:
        return Placement(DROPPED, f"after the selected layer {tower_layers}")
    return Placement(f"vision_tower.{name}")


def original_name(target: str, spec: FamilySpec) -> str:
    """The checkpoint's own name of what goes to `target`; `target` itself if there is none."""
    for prefix, place_ in spec.weights:
        if place_ is not None and target.startswith(place_):
            return prefix + target.removeprefix(place_)
    return target
