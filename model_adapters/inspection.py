"""What a checkpoint's folder holds and how it would be served, found without loading weights.

Needs config.json; an index or weight files add what is known of the tensors. Imports no torch.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sensorium.model_adapters.base_model import (
    TOKENIZERS,
    lora_target,
    own_name,
    tokenizer_folder,
)
from sensorium.model_adapters.choices import with_family
from sensorium.model_adapters.conversation import choose_style
from sensorium.model_adapters.errors import CheckpointError, UnknownFamilyError
from sensorium.model_adapters.plan import Plan, make_plan
from sensorium.model_adapters.registry import Match, architecture_of, recognise
from sensorium.model_adapters.spec import RawConfig
from sensorium.model_adapters.tensor_files import StoredTensor, TensorFiles, scan
from sensorium.model_adapters.tower_plan import VISION_TOWER_PART, TowerPlan, tower_part
from sensorium.model_adapters.weight_names import DROPPED, place

__all__ = [
    "SIZES",
    "Inspection",
    "absent_from_layers",
    "cache_bytes",
    "inspect_checkpoint",
    "layer_holes",
    "weight_bytes",
]

# Image sizes (width, height) whose tokens are reported.
SIZES = ((336, 336), (640, 480), (1920, 1080), (480, 2400))
# A layer of a stack has parts; `layers.1.weight` is one matrix of a sequence.
_LAYER = re.compile(r"^(.*\.layers\.)(\d+)\.(.*\..*)$")
_SHOWN = 10


@dataclass(frozen=True)
class Inspection:
    """The findings; `to_dict` is what `sensorium inspect --json` prints.

    `towers` says of each modality with a tower of its own which that is, and where its weights are;
    `placed` counts tensors by part, `dropped` by reason; `weight_bytes` is None where sizes are not
    known; `unconfirmed` is what was not seen of the family's facts; `generation` are the family's
    sampling defaults; `base` says what the checkpoint is to another model, if it is not whole;
    `problems` is what keeps it from being served.
    """

    path: str
    family: str
    title: str
    certain: bool
    unconfirmed: str
    why: str
    architecture: str
    language_model: str
    tower: str
    tower_kind: str
    tower_layers: int
    tower_weights: str
    towers: Mapping[str, str]
    projector: str
    prompt_style: str
    sample: str
    stops: tuple[str, ...]
    generation: Mapping[str, float]
    image_tokens: Mapping[str, int]
    video_tokens: Mapping[str, int]
    weight_bytes: int | None
    cache_bytes_per_token: int | None
    base: str
    placed: Mapping[str, int]
    dropped: Mapping[str, int]
    unknown: tuple[str, ...]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able data."""
        return asdict(self)


def inspect_checkpoint(folder: Path) -> Inspection:
    """Read a folder; raises CheckpointError where there is no config or no family fits it."""
    raw = with_family(_config(folder), str(folder.resolve()))
    match = recognise(raw)
    if match is None:
        raise UnknownFamilyError(_not_ours(folder, raw))
    name = architecture_of(raw)
    raw, plan = dict(match.config), make_plan(match, folder)
    files = scan(folder, match.spec.folders)
    below = None if plan.base is None else scan(Path(plan.base.folder))
    placed, dropped, unknown = _place_all(files, below, plan)
    problems = [
        *_file_problems(folder, files, match),
        *absent_from_layers(layer_holes((below or files).tensors)),
        *_other_widths((below or files).tensors, raw.get("hidden_size")),
    ]
    if unknown:
        problems.append(f"{len(unknown)} tensors fit nowhere: {', '.join(unknown[:_SHOWN])}")
    for part, tower in plan.parts().items():
        if not placed[part] and not _has_weights(tower):
            problems.append(
                f"the vision tower {tower.name!r} is not here; vLLM would fetch "
                f"{tower.source}, or name its folder with --vision-tower"
            )
    style = choose_style(match, str(folder.resolve()))
    return Inspection(
        path=str(folder),
        family=plan.family,
        title=match.spec.title,
        certain=plan.certain,
        unconfirmed=match.spec.unconfirmed,
        why=plan.why,
        architecture=name,
        language_model=plan.text_architecture,
        tower=plan.tower.name,
        tower_kind=plan.tower.kind,
        tower_layers=plan.tower.layers,
        tower_weights=_weights_of(VISION_TOWER_PART, plan.tower, placed),
        towers={
            modality: f"{tower.name} ({tower.kind}, {tower.layers} layers), "
            + _weights_of(tower_part(modality), tower, placed)
            for modality, tower in plan.towers.items()
        },
        projector=str(raw.get("mm_projector_type") or "linear"),
        prompt_style=style.name,
        sample=style.render([("user", f"<{plan.modalities[0]}>\nWhat is this?")]),
        stops=style.stops,
        generation=dict(match.spec.generation),
        image_tokens=_image_tokens(plan),
        video_tokens=_video_tokens(plan),
        weight_bytes=weight_bytes(folder, files),
        cache_bytes_per_token=cache_bytes(raw),
        base="" if plan.base is None else f"{plan.base.kind} over {plan.base.folder}",
        placed=dict(placed),
        dropped=dict(dropped),
        unknown=tuple(unknown),
        problems=tuple(problems),
    )


def _weights_of(part: str, tower: TowerPlan, placed: Counter[str]) -> str:
    return "in the checkpoint" if placed[part] else tower.source


def _image_tokens(plan: Plan) -> dict[str, int]:
    if "image" not in plan.modalities:
        return {}
    return {f"{w}x{h}": plan.layout().tokens(w, h) for w, h in SIZES}


def _video_tokens(plan: Plan) -> dict[str, int]:
    if plan.video is None:
        return {}
    layout, most = plan.frame_layout(), plan.video.frames
    sizes = (most,) if plan.video.reducer == "together" else (most // 2, most)
    return {f"{frames} frames": layout.tokens(frames) for frames in sizes}


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} has no config.json")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path} holds {type(raw).__name__}, not an object")
    return raw


def _not_ours(folder: Path, raw: RawConfig) -> str:
    name = architecture_of(raw) or "no architecture"
    if "vision_config" in raw and "text_config" in raw:
        return (
            f"{folder}: {name} (model_type {raw.get('model_type')!r}) is in Hugging Face's layout, "
            "which is vLLM's to read: `sensorium serve` passes it on"
        )
    return (
        f"{folder}: {name} (model_type {raw.get('model_type')!r}) is in no layout that Sensorium "
        "reads itself: the config has no `mm_vision_tower`. vLLM may know it; `sensorium serve` "
        "passes it on. `sensorium families` lists what is read here"
    )


def _place_all(
    files: TensorFiles, below: TensorFiles | None, plan: Plan
) -> tuple[Counter[str], Counter[str], list[str]]:
    placed: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    unknown = []
    matrices = {name for name in files.tensors if lora_target(name) is not None}
    if matrices:
        placed["lora"] = len(matrices)
    own = {own_name(name) for name in files.tensors.keys() - matrices}
    for name in own | (below.tensors.keys() if below is not None else set()):
        placement = place(name, plan)
        if placement is None:
            unknown.append(name)
        elif placement.target == DROPPED:
            dropped[placement.reason] += 1
        else:
            placed[placement.target.split(".", 1)[0]] += 1
    return placed, dropped, unknown


def _file_problems(folder: Path, files: TensorFiles, match: Match) -> list[str]:
    problems = []
    if files.missing:
        problems.append(f"weight files that the index names are absent: {files.absent()}")
    if not files.files and not files.missing:
        problems.append("no weight file (*.safetensors, *.bin, *.pth)")
    kind = match.spec.tokenizer
    place = folder / kind.folder if kind.folder else tokenizer_folder(match, folder)
    legacy = match.language_model.tokenizer
    own = (legacy.file,) if legacy is not None else ()
    if not any((place / name).is_file() for name in (*own, *TOKENIZERS)):
        wanted = own or (TOKENIZERS[:2] if kind.slow_llama else TOKENIZERS[1:])
        problems.append(f"no tokenizer file ({' or '.join(wanted)})")
    return problems


def layer_holes(names: Iterable[str]) -> list[str]:
    """The tensors that a layer lacks and other layers of the same stack have."""
    stacks: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in names:
        found = _LAYER.match(name)
        if found is not None:
            stacks[found[1]][int(found[2])].add(found[3])
    holes = []
    for stack, layers in sorted(stacks.items()):
        every = set.union(*layers.values())
        for layer in range(max(layers) + 1):
            holes += [f"{stack}{layer}.{part}" for part in sorted(every - layers[layer])]
    return holes


def _other_widths(tensors: Mapping[str, StoredTensor], width: object) -> list[str]:
    """The problem of a table of embeddings that has not the config's width; none if it has."""
    for name, tensor in tensors.items():
        if name.endswith("embed_tokens.weight") and tensor.shape and tensor.shape[-1] != width:
            return [
                f"{name} in {tensor.file} has the shape {list(tensor.shape)}, and the config's "
                f"`hidden_size` is {width}"
            ]
    return []


def absent_from_layers(names: Sequence[str]) -> list[str]:
    """The problem of tensors that layers lack; none where there is no such tensor."""
    if not names:
        return []
    return [f"{len(names)} tensors are absent from layers: {', '.join(names[:_SHOWN])}"]


def _has_weights(tower: TowerPlan) -> bool:
    return tower.folder is not None and bool(scan(Path(tower.folder)).files)


def weight_bytes(folder: Path, files: TensorFiles) -> int | None:
    """Bytes of all tensors, None where neither files nor index say."""
    sizes = [tensor.size for tensor in files.tensors.values()]
    known = [size for size in sizes if size is not None]
    if sizes and len(known) == len(sizes):
        return sum(known)
    for index in folder.glob("*.index.json"):
        total = json.loads(index.read_text(encoding="utf-8")).get("metadata", {}).get("total_size")
        if isinstance(total, int):
            return total
    return None


def cache_bytes(raw: RawConfig) -> int | None:
    """Bytes of keys and values that a token keeps in 16-bit precision."""
    try:
        heads = int(raw["num_attention_heads"])
        width = int(raw.get("head_dim") or int(raw["hidden_size"]) // heads)
        groups = int(raw.get("num_key_value_heads") or heads)
        return 2 * 2 * int(raw["num_hidden_layers"]) * groups * width
    except (KeyError, TypeError, ValueError):
        return None
