"""From a checkpoint's config and its family's spec to everything needed to build the model.

A plan is plain data: it travels inside the model's configuration to every engine process, and
`sensorium inspect` prints it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sensorium.model_adapters.base_model import BaseModel, find_base
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.layouts import (
    AnyresLayout,
    ClassLastLayout,
    Layout,
    SquareLayout,
    ViewsLayout,
)
from sensorium.model_adapters.projector_types import ProjectorType, parse_projector
from sensorium.model_adapters.registry import Match, architecture_of, families
from sensorium.model_adapters.spec import Aspect, FamilySpec, RawConfig, Tower
from sensorium.model_adapters.tensor_files import scan
from sensorium.model_adapters.tower_plan import (
    VISION_TOWER_PART,
    TowerPlan,
    pixels_seen,
    place_and_plan,
    tower_part,
)
from sensorium.model_adapters.towers import KINDS
from sensorium.model_adapters.towers.find import TowerPlace
from sensorium.model_adapters.videos import FrameLayout, Video

__all__ = ["ImagePlan", "Plan", "TowerPlan", "make_plan", "text_fields"]

_NOT_TEXT = (
    "mm_", "tune_", "freeze_", "unfreeze_", "image_", "use_mm", "use_s2", "s2_", "vision_",
    "tokenizer_", "pretrain_", "sensorium_",
)  # fmt: skip
_NOT_TEXT_KEYS = frozenset(
    {"architectures", "auto_map", "dtype", "model_type", "torch_dtype", "transformers_version"}
)
# Config keys of features that are not served yet: better refused than read as something else.
_REFUSED = {
    "mm_vision_tower_aux_list": "several vision towers",
    "vision_add_five_stage": "a stage that is added to the tower when it is loaded",
    "mm_resampler_type": "a resampler after the vision tower",
    "use_mm_proj_aux": "a second projector",
    "add_faster_video": "frames of two sizes with a trained token between",
}
_NEUTRAL: tuple[object, ...] = (None, False, "", [], "null")


@dataclass(frozen=True)
class ImagePlan:
    """How a picture becomes pixel tensors; `mean` and `std` are for pixels scaled to 0..1.

    `several` is the aspect where a prompt holds several images, with a newline after each if
    `several_newline` is set. `at_most` tiles keep all their features.
    """

    size: int
    resize: str
    aspect: Aspect
    mean: tuple[float, ...]
    std: tuple[float, ...]
    several: Aspect | None = None
    several_newline: bool = False
    at_most: int | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ImagePlan:
        """The plan that `asdict` wrote, also after a round trip through JSON."""
        return cls(**{**data, "mean": tuple(data["mean"]), "std": tuple(data["std"])})

    @property
    def pad_colour(self) -> tuple[int, ...]:
        """The mean colour as 8-bit values, truncated as the authors' code does."""
        return tuple(int(value * 255) for value in self.mean)


@dataclass(frozen=True)
class Plan:
    """A checkpoint, understood.

    `tower` sees every modality that `towers` has none for; `frames` says how a video's frames
    become pixels where they have a tower of their own.
    """

    family: str
    architecture: str
    why: str
    certain: bool
    tower: TowerPlan
    image: ImagePlan
    projector: ProjectorType
    pinpoints: tuple[tuple[int, int], ...]
    text_type: str
    text_architecture: str
    text_translation: str
    dtype: str | None
    embedding_scale: float = 1.0
    base: BaseModel | None = None
    masked: bool = False
    video: Video | None = None
    towers: Mapping[str, TowerPlan] = field(default_factory=dict)
    frames: ImagePlan | None = None

    @property
    def spec(self) -> FamilySpec:
        """The family's spec."""
        return families()[self.family]

    def parts(self) -> dict[str, TowerPlan]:
        """The towers by the names of their modules in the composed model."""
        own = {tower_part(modality): tower for modality, tower in self.towers.items()}
        return {VISION_TOWER_PART: self.tower, **own}

    def part_of(self, modality: str) -> str:
        """The name of the tower's module that sees a modality."""
        return tower_part(modality) if modality in self.towers else VISION_TOWER_PART

    def pixels_of(self, part: str) -> ImagePlan:
        """How pictures for a tower become pixel tensors."""
        if self.frames is not None and part == tower_part("video"):
            return self.frames
        return self.image

    def aspect(self, *, several: bool = False) -> Aspect:
        """What is done with an image that is alone in its prompt, or with one of several."""
        return self.image.several if several and self.image.several else self.image.aspect

    def layout(self, *, several: bool = False) -> Layout:
        """How an image becomes squares and tokens; `several`: it is not alone in its prompt."""
        image = self.image
        if self.aspect(several=several) == "anyres":
            return AnyresLayout(image.size, self.tower.grid, self.pinpoints, image.at_most)
        if self.aspect(several=several) == "views":
            return ViewsLayout(image.size, self.projector.tokens(self.tower.tokens()))
        if self.video is not None and self.video.reducer == "mean_and_class":
            return ClassLastLayout(image.size, self.projector.tokens(self.tower.tokens()))
        newline = several and image.several is not None and image.several_newline
        return SquareLayout(image.size, self.projector.tokens(self.tower.tokens()), newline)

    def frame_layout(self) -> FrameLayout:
        """How the frames of a video become tokens; only for plans that have `video`."""
        if self.video is None:
            raise ValueError(f"the family {self.family!r} takes no video")
        return FrameLayout(self.parts()[self.part_of("video")].grid, self.video)

    @property
    def modalities(self) -> tuple[str, ...]:
        """What prompts may hold beside text."""
        return tuple(name for name in self.spec.modalities if name != "text")

    @property
    def has_newline(self) -> bool:
        """Whether the checkpoint's newline vector is used."""
        layouts = (self.layout(), self.layout(several=True))
        used = any(layout.has_newline for layout in layouts)
        return used or (self.video is not None and self.frame_layout().has_newline)

    def recipe(self) -> str:
        """The plan as text, the same for the same plan: says how pictures are prepared."""
        return json.dumps(self.to_dict(), sort_keys=True)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `to_dict` wrote, also after a round trip through JSON."""
        fields = dict(data)
        fields["tower"] = TowerPlan.from_dict(data["tower"])
        fields["towers"] = {
            modality: TowerPlan.from_dict(tower) for modality, tower in data["towers"].items()
        }
        fields["image"] = ImagePlan.from_dict(data["image"])
        frames = data["frames"]
        fields["frames"] = None if frames is None else ImagePlan.from_dict(frames)
        fields["projector"] = ProjectorType(**data["projector"])
        fields["pinpoints"] = tuple((int(w), int(h)) for w, h in data["pinpoints"])
        fields["base"] = None if data["base"] is None else BaseModel(**data["base"])
        fields["video"] = None if data["video"] is None else Video(**data["video"])
        return cls(**fields)


def make_plan(match: Match, checkpoint: Path | None) -> Plan:
    """Read a recognised config; raises CheckpointError naming the key that cannot be served."""
    spec, raw = match.spec, _refined(match, checkpoint)
    _refuse(raw, spec)
    tower, tower_plan = _tower(raw, spec, VISION_TOWER_PART, spec.tower, checkpoint)
    image = _image_plan(raw, spec, tower, tower_plan)
    own = {
        modality: _tower(raw, spec, tower_part(modality), kept, checkpoint)
        for modality, kept in spec.towers.items()
    }
    return Plan(
        family=spec.name,
        architecture=architecture_of(raw),
        why=match.why,
        certain=match.certain,
        tower=tower_plan,
        image=image,
        projector=parse_projector(
            str(raw.get("mm_projector_type") or "linear"),
            spec.projectors,
            raw.get("mm_projector_config"),
        ),
        pinpoints=_pinpoints(raw, image.size) if image.aspect == "anyres" else (),
        text_type=match.language_model.config_type,
        text_architecture=match.language_model.architecture,
        text_translation=match.language_model.translation_name,
        dtype=raw.get("dtype") or raw.get("torch_dtype"),
        embedding_scale=match.language_model.embedding_scale(raw),
        base=find_base(match, checkpoint),
        masked=match.language_model.masked,
        video=_video(raw, spec, own["video"][1] if "video" in own else tower_plan),
        towers={modality: plan for modality, (_, plan) in own.items()},
        frames=_frames_plan(spec.towers["video"], own["video"][0]) if "video" in own else None,
    )


def _tower(
    raw: RawConfig, spec: FamilySpec, part: str, kept: Tower, checkpoint: Path | None
) -> tuple[TowerPlace, TowerPlan]:
    """The tower that the composed model calls `part`."""
    prefixes = tuple(prefix for prefix, target in spec.weights if target == f"{part}.")
    return place_and_plan(raw, spec.name, kept, prefixes, checkpoint)


def _refined(match: Match, checkpoint: Path | None) -> RawConfig:
    """The flat config, gone on with by the shapes of the checkpoint's tensors."""
    if match.spec.refine is None or checkpoint is None:
        return match.config
    tensors = scan(checkpoint, match.spec.folders).tensors
    shapes = {name: stored.shape for name, stored in tensors.items() if stored.shape is not None}
    return match.spec.refine(match.config, shapes)


def text_fields(raw: RawConfig) -> dict[str, Any]:
    """The language model's own fields of a flat config."""
    return {
        key: value
        for key, value in raw.items()
        if not key.startswith(_NOT_TEXT) and key not in _NOT_TEXT_KEYS
    }


def _refuse(raw: RawConfig, spec: FamilySpec) -> None:
    for key, what in _REFUSED.items():
        if key == "mm_resampler_type" and spec.video and raw.get(key) == "spatial_pool":
            continue  # what is done with the frames of a video
        if raw.get(key) not in _NEUTRAL:
            raise CheckpointError(
                f"the config's `{key}: {raw[key]!r}` says {what}, which the family {spec.name!r} "
                "does not serve yet"
            )


def _aspect(raw: RawConfig, spec: FamilySpec) -> tuple[Aspect, int | None]:
    """What is done with an image, and how many tiles keep all their features."""
    value = raw.get("image_aspect_ratio")
    numbered = re.fullmatch(r"anyres_max_(\d+)", str(value))
    key = value if numbered is None else "anyres_max"
    aspect = spec.aspects.get(key, spec.aspects.get("*"))
    if aspect is None:
        known = ", ".join(repr(key) for key in spec.aspects)
        raise CheckpointError(
            f"the config's `image_aspect_ratio` is {value!r}; "
            f"the family {spec.name!r} knows {known}"
        )
    merge = str(raw.get("mm_patch_merge_type") or "flat")
    if aspect == "anyres" and merge != "spatial_unpad":
        raise CheckpointError(
            f"the config's `mm_patch_merge_type` is {merge!r}; tiles are served as 'spatial_unpad'"
        )
    return aspect, None if numbered is None else int(numbered[1])


def _video(raw: RawConfig, spec: FamilySpec, tower: TowerPlan) -> Video | None:
    """The family's video, with what the config says of its pooling and its newlines.

    `tower` sees it.
    """
    if spec.video is not None and spec.video.reducer == "together":
        return replace(spec.video, frames=int(tower.config["num_frames"]))
    if spec.video is None or spec.video.reducer != "frames":
        return spec.video
    pool = raw.get("mm_spatial_pool_mode") or spec.video.pool
    newline = raw.get("mm_newline_position") or spec.video.newline
    for key, value, known in (
        ("mm_spatial_pool_mode", pool, (None, "average", "max", "bilinear")),
        ("mm_newline_position", newline, ("no_token", "one_token", "frame", "grid")),
    ):
        if value not in known:
            raise CheckpointError(f"the config's `{key}` is {value!r}; known: {known}")
    times = bool(raw.get("add_time_instruction", spec.video.times))
    sampling = spec.video.sampling
    if sampling == "per_second" and raw.get("force_sample"):
        sampling = "uniform"
    return replace(spec.video, pool=pool, newline=newline, times=times, sampling=sampling)


def _image_plan(raw: RawConfig, spec: FamilySpec, tower: TowerPlace, plan: TowerPlan) -> ImagePlan:
    kind = KINDS[tower.kind]
    aspect, at_most = _aspect(raw, spec)
    return ImagePlan(
        size=max((pixels_seen(spec.tower, tower), *plan.scales)),
        resize="squash" if aspect == "resize" else kind.resize,
        aspect=aspect,
        mean=tuple(tower.preprocessing.get("image_mean") or kind.mean),
        std=tuple(tower.preprocessing.get("image_std") or kind.std),
        several=spec.several,
        several_newline=spec.several_newline,
        at_most=at_most,
    )


def _frames_plan(kept: Tower, tower: TowerPlace) -> ImagePlan:
    """How frames become what a tower for videos is given."""
    kind = KINDS[tower.kind]
    return ImagePlan(pixels_seen(kept, tower), kind.resize, "crop", kind.mean, kind.std)


def _pinpoints(raw: RawConfig, size: int) -> tuple[tuple[int, int], ...]:
    """Canvases in pixels: a list, or "(1x1),...,(6x6)" for every one of so many tiles."""
    value = raw.get("image_grid_pinpoints")
    ranges = re.findall(r"\((\d+)x(\d+)\)", value) if isinstance(value, str) else []
    if ranges:
        (wide, high), (widest, highest) = (tuple(map(int, ranges[end])) for end in (0, -1))
        return tuple(
            (i * size, j * size) for i in range(wide, widest + 1) for j in range(high, highest + 1)
        )
    try:
        pairs = ast.literal_eval(value) if isinstance(value, str) else value
        found = tuple((int(width), int(height)) for width, height in pairs or ())
    except (ValueError, SyntaxError, TypeError):
        found = ()
    if not found:
        raise CheckpointError(
            "the config's `image_grid_pinpoints` must be a list of [width, height] pairs; "
            f"got {value!r}"
        )
    return found
