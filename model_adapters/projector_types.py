"""Projectors by the names that configs give them, and how many tokens each makes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sensorium.model_adapters.errors import CheckpointError

__all__ = ["BUILDERS", "FEED_FORWARD", "ProjectorType", "parse_projector"]

_MLP = re.compile(r"(split_)?mlp(\d+)x_gelu(_Norm)?")
_LDPV2_GRID = 12
_BY_NAME = {
    "linear": "linear",
    "ldpnet": "ldp",
    "ldpnetv2": "ldpv2",
    "abstractor": "abstractor",
    "moondream": "moondream",
    "resampler": "resampler",
    "mlp_downsample": "downsample",
}

# Kinds that are linear layers in a row; the others attend, and their layers are of other use.
FEED_FORWARD = (
    "linear",
    "mlp",
    "mlp_norm",
    "split_mlp",
    "downsample",
    "moondream",
    "ldp",
    "ldpv2",
)


@dataclass(frozen=True)
class ProjectorType:
    """A kind of projector (a key of `BUILDERS`), and how many linear layers it has.

    `settings` are sizes that a kind takes from the config's `mm_projector_config`.
    """

    kind: str
    depth: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by_row(self) -> bool:
        """Whether each feature is projected by itself, so that their order does not matter."""
        return self.kind in ("linear", "mlp", "mlp_norm")

    def tokens(self, patches: int) -> int:
        """How many tokens `patches` features of one square image become."""
        if self.kind in ("ldp", "downsample"):
            return math.ceil(math.isqrt(patches) / 2) ** 2
        if self.kind == "ldpv2":
            return _LDPV2_GRID**2
        if self.kind == "resampler":
            return int(self.settings["n_queries"])
        if self.kind == "abstractor":
            return int(self.settings["num_learnable_queries"]) + 1
        return patches


def parse_projector(
    name: str, taken: tuple[str, ...], settings: Mapping[str, Any] | None = None
) -> ProjectorType:
    """Read `mm_projector_type`; raises CheckpointError for one the family does not take."""
    parsed = _parse(name)
    if parsed is None or parsed.kind not in taken:
        raise CheckpointError(
            f"projector {name!r} (config key `mm_projector_type`) is not one this family has: "
            f"{', '.join(_EXAMPLES[kind] for kind in taken)}"
        )
    return replace(parsed, settings=dict(settings or {}))


def _parse(name: str) -> ProjectorType | None:
    if name in _BY_NAME:
        return ProjectorType(_BY_NAME[name])
    found = _MLP.fullmatch(name)
    if found is None or int(found[2]) < 1 or (found[1] and found[3]):
        return None
    kind = "split_mlp" if found[1] else "mlp_norm" if found[3] else "mlp"
    return ProjectorType(kind, int(found[2]))


_EXAMPLES = {
    "linear": "linear",
    "mlp": "mlp2x_gelu",
    "mlp_norm": "mlp2x_gelu_Norm",
    "split_mlp": "split_mlp2x_gelu",
    "ldp": "ldpnet",
    "ldpv2": "ldpnetv2",
    "downsample": "mlp_downsample",
    "abstractor": "abstractor",
    "moondream": "moondream",
    "resampler": "resampler",
}

_MODULES = "sensorium.model_adapters.engine.projectors"
# What builds each kind for the engine: called with the type, the features' width and the output's.
BUILDERS = {
    "linear": f"{_MODULES}.mlp:linear",
    "mlp": f"{_MODULES}.mlp:mlp",
    "mlp_norm": f"{_MODULES}.mlp:mlp",
    "split_mlp": f"{_MODULES}.split_mlp:SplitProjector",
    "ldp": f"{_MODULES}.ldp:LdpProjector",
    "ldpv2": f"{_MODULES}.ldp:LdpV2Projector",
    "downsample": f"{_MODULES}.downsample:downsample",
    "resampler": f"{_MODULES}.resampler:Resampler",
    "moondream": f"{_MODULES}.moondream:MoondreamProjector",
    "abstractor": f"{_MODULES}.abstractor:VisualAbstractor",
}
