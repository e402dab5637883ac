"""What the authors' code computes, in plain torch and transformers, written apart from the adapter.

Nothing of `sensorium` is imported here. Sources: haotian-liu/LLaVA (llava/mm_utils.py,
llava/model/llava_arch.py), BAAI-DCAI/Bunny (bunny/util/mm_utils.py, bunny/model), 01-ai/Yi (VL),
Meituan-AutoML/MobileVLM (mobilevlm/model/vision_projector.py).
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch.nn import functional

from tests.families.phi_reference import PhiReference

__all__ = [
    "Reference",
    "State",
    "anyres_crops",
    "expand2square",
    "load_vision",
    "read_all",
    "read_image_processor",
    "read_tokenizer",
    "unpad_image",
]

State = dict[str, torch.Tensor]
_PROJECTOR = "model.mm_projector."
_TOWER = "model.vision_tower.vision_tower."


class Reference:
    """One checkpoint, read again from its files.

    `tower` is the folder of the separate tower, `inside` says whether tower tensors in the
    checkpoint count, `image_token` is the text that the authors' prompts hold for an image.
    """

    # Ids beside the config's that end an answer.
    ends: frozenset[int] = frozenset()
    # The images that were looked at last, and what was seen.
    last: tuple[tuple[bytes, ...], list[torch.Tensor]] | None = None

    def __init__(self, checkpoint: Path, tower: Path, *, inside: bool) -> None:
        self.raw: dict[str, Any] = json.loads((checkpoint / "config.json").read_text())
        state = read_all(checkpoint)
        self.siglip = "siglip" in str(tower)
        self.tokenizer = read_tokenizer(checkpoint)
        if self.raw.get("mm_use_im_patch_token"):
            self.tokenizer.add_tokens(["<im_patch>"], special_tokens=True)
        if self.raw.get("mm_use_im_start_end"):
            self.tokenizer.add_tokens(["<im_start>", "<im_end>"], special_tokens=True)
        self.lm = self.language_model(state)
        # The authors' loaders cut the vocabulary to the tokenizer's.
        self.lm.resize_token_embeddings(len(self.tokenizer))
        self.tower = _tower(tower, state if inside else {}, siglip=self.siglip)
        self.processor = read_image_processor(tower, siglip=self.siglip)
        self.projector = {
            name.removeprefix(_PROJECTOR): value
            for name, value in state.items()
            if name.startswith(_PROJECTOR)
        }
        self.newline = state.get("model.image_newline")

    def language_model(self, state: State) -> Any:
        """The language model; overridden for one that transformers' classes do not describe."""
        return _language_model(self.raw, state)

    @torch.inference_mode()
    def answer(
        self, prompt: str, images: Sequence[bytes] = (), tokens: int = 16
    ) -> tuple[list[int], torch.Tensor]:
        """Greedy tokens and the log-probabilities `[tokens, vocabulary]` they were taken from."""
        sequence = self._embed(prompt, self.features_of(images))
        table = self.lm.get_input_embeddings()
        chosen, rows = [], []
        for _ in range(tokens):
            scores = self.lm(inputs_embeds=sequence, use_cache=False).logits[0, -1]
            rows.append(torch.log_softmax(scores.float(), -1))
            chosen.append(int(rows[-1].argmax()))
            if chosen[-1] == self.raw["eos_token_id"] or chosen[-1] in self.ends:
                break
            sequence = torch.cat([sequence, table(torch.tensor([[chosen[-1]]]))], dim=1)
        return chosen, torch.stack(rows)

    def pieces(self, prompt: str) -> list[list[int]]:
        """Ids of the text around each image: `tokenizer_image_token`."""
        pieces = [self.tokenizer(piece).input_ids for piece in prompt.split("<image>")]
        bos = self.tokenizer.bos_token_id
        if pieces[0] and pieces[0][0] == bos and bos is not None:
            pieces[1:] = [piece[1:] for piece in pieces[1:]]
        return pieces

    def prompt_length(self, prompt: str, images: Sequence[bytes] = ()) -> int:
        """Tokens of the prompt, images included."""
        with torch.inference_mode():
            inside = sum(len(features) for features in self.features_of(images))
        return inside + sum(len(piece) for piece in self.pieces(prompt))

    def _embed(self, prompt: str, features: list[torch.Tensor]) -> torch.Tensor:
        table = self.lm.get_input_embeddings()
        parts = []
        for index, ids in enumerate(self.pieces(prompt)):
            parts += [features[index - 1]] if index else []
            parts.append(table(torch.tensor(ids, dtype=torch.long)))
        return torch.cat(parts)[None]

    def features_of(self, images: Sequence[bytes]) -> list[torch.Tensor]:
        """`all_features`, computed once for images that are asked about twice in a row."""
        if self.last is None or self.last[0] != tuple(images):
            self.last = tuple(images), self.all_features(images)
        return self.last[1]

    def all_features(self, images: Sequence[bytes]) -> list[torch.Tensor]:
        """Tokens of each image of a prompt, `[tokens, hidden]`."""
        return [self._features(image) for image in images]

    def _features(self, image: bytes) -> torch.Tensor:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")
        aspect = self.raw.get("image_aspect_ratio")
        if aspect == "anyres":
            return self._tiled(picture)
        if aspect == "pad":
            picture = expand2square(picture, self.pad_colour())
        return self._project(self.pixels(picture)[None])[0]

    def pad_colour(self) -> tuple[int, ...]:
        """The mean colour, truncated."""
        return tuple(int(x * 255) for x in self.processor.image_mean)

    def pixels(self, picture: Image.Image) -> torch.Tensor:
        """`[3, size, size]` of a picture that was padded or tiled before."""
        done = self.processor(picture, return_tensors="pt", input_data_format="channels_last")
        pixels: torch.Tensor = done["pixel_values"][0]
        return pixels

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """The tower's features that go to the projector, `[squares, rows, width]`."""
        hidden = self.tower(pixels, output_hidden_states=True).hidden_states
        layer = -2 if self.siglip else self.raw["mm_vision_select_layer"]
        chosen: torch.Tensor = hidden[layer] if self.siglip else hidden[layer][:, 1:]
        return chosen

    def _project(self, pixels: torch.Tensor) -> torch.Tensor:
        kind = self.raw.get("mm_projector_type", "linear")
        return _PROJECTORS[kind](self.projector, self.see(pixels))

    def _tiled(self, picture: Image.Image) -> torch.Tensor:
        """`process_anyres_image`, then the `spatial_unpad` branch of llava_arch.py."""
        edge = self.processor.crop_size["height"]
        (wide, high), crops = anyres_crops(picture, self.raw["image_grid_pinpoints"], edge)
        features = self._project(torch.stack([self.pixels(crop) for crop in crops]))
        base, rest = features[0], features[1:]
        side = math.isqrt(rest.shape[1])
        rest = rest.view(high // edge, wide // edge, side, side, -1)
        rest = rest.permute(4, 0, 2, 1, 3).flatten(1, 2).flatten(2, 3)
        rest = unpad_image(rest, picture.size)
        assert self.newline is not None
        newline = self.newline[:, None, None].expand(*rest.shape[:-1], 1)
        return torch.cat((base, torch.cat((rest, newline), -1).flatten(1, 2).transpose(0, 1)))


def anyres_crops(
    picture: Image.Image, points: list[list[int]], edge: int
) -> tuple[tuple[int, int], list[Image.Image]]:
    """`process_anyres_image`: the size it chooses, and the whole picture before its tiles."""
    wide, high = best_resolution(picture.size, points)
    scale_w, scale_h = wide / picture.width, high / picture.height
    if scale_w < scale_h:
        new = (wide, min(math.ceil(picture.height * scale_w), high))
    else:
        new = (min(math.ceil(picture.width * scale_h), wide), high)
    canvas = Image.new("RGB", (wide, high), (0, 0, 0))
    canvas.paste(picture.resize(new), ((wide - new[0]) // 2, (high - new[1]) // 2))
    crops = [picture.resize((edge, edge))]
    for row in range(0, high, edge):
        for column in range(0, wide, edge):
            crops.append(canvas.crop((column, row, column + edge, row + edge)))
    return (wide, high), crops


def best_resolution(size: tuple[int, int], options: list[list[int]]) -> tuple[int, int]:
    """`selectbest_resolution`."""
    best, most, least_waste = (0, 0), 0, math.inf
    for width, height in options:
        scale = min(width / size[0], height / size[1])
        inside = min(int(size[0] * scale) * int(size[1] * scale), size[0] * size[1])
        waste = width * height - inside
        if inside > most or (inside == most and waste < least_waste):
            best, most, least_waste = (width, height), inside, waste
    return best


def unpad_image(grid: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """`unpad_image` for `[hidden, rows, columns]`."""
    rows, columns = grid.shape[1:]
    if size[0] / size[1] > columns / rows:
        padding = (rows - int(size[1] * (columns / size[0]))) // 2
        return grid[:, padding : rows - padding, :]
    padding = (columns - int(size[0] * (rows / size[1]))) // 2
    return grid[:, :, padding : columns - padding]


def expand2square(picture: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """`expand2square`."""
    width, height = picture.size
    if width == height:
        return picture
    if width > height:
        square = Image.new(picture.mode, (width, width), colour)
        square.paste(picture, (0, (width - height) // 2))
        return square
    square = Image.new(picture.mode, (height, height), colour)
    square.paste(picture, ((height - width) // 2, 0))
    return square


def read_all(folder: Path) -> State:
    """Every tensor of the index's files, or of the only file."""
    from safetensors.torch import load_file

    state: State = {}
    for path in sorted(folder.glob("pytorch_model*.bin")):
        state.update(torch.load(path, weights_only=True))
    for path in sorted(folder.glob("*.safetensors")):
        state.update(load_file(path))
    return state


def read_tokenizer(folder: Path) -> Any:
    """Sentencepiece where there is a file of it, else the fast tokenizer."""
    import transformers

    if (folder / "tokenizer.model").exists():
        return transformers.LlamaTokenizer.from_pretrained(folder)
    return transformers.PreTrainedTokenizerFast.from_pretrained(folder)


def _language_model(raw: dict[str, Any], state: State) -> Any:
    import transformers

    own = {
        name: value
        for name, value in state.items()
        if not name.startswith((_PROJECTOR, "model.vision_tower.", "model.image_newline"))
        and not name.endswith("inv_freq")
    }
    architecture = raw["architectures"][0]
    if "PhiFor" in architecture:
        return PhiReference(raw, own)
    kind = next(kind for kind in ("Qwen", "Mistral", "Llama", "Phi3") if kind in architecture)
    kind = {"Qwen": "Qwen2"}.get(kind, kind)
    fields = {
        key: value
        for key, value in raw.items()
        if not key.startswith(("mm_", "image_")) and key not in ("architectures", "model_type")
    }
    config = getattr(transformers, f"{kind}Config")(**fields, attn_implementation="eager")
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    if raw.get("tie_word_embeddings"):
        own.setdefault("lm_head.weight", own["model.embed_tokens.weight"])
    outcome = model.load_state_dict(own, strict=False)
    assert not outcome.unexpected_keys and not outcome.missing_keys, outcome
    return model


def _tower(folder: Path, state: State, *, siglip: bool) -> Any:
    import transformers

    kind = "Siglip" if siglip else "CLIP"
    config = getattr(transformers, f"{kind}VisionConfig").from_pretrained(
        folder, attn_implementation="eager"
    )
    model = getattr(transformers, f"{kind}VisionModel")(config).eval()
    # The published tower, and what the checkpoint says instead.
    own = {
        name: value for name, value in read_all(folder).items() if name.startswith("vision_model.")
    }
    own |= {
        name.removeprefix(_TOWER): value for name, value in state.items() if name.startswith(_TOWER)
    }
    load_vision(model, own)
    return model


def load_vision(model: Any, own: State) -> None:
    """Load `vision_model.*`, which some versions of transformers name without the prefix."""
    keep = not any(name.startswith("vision_model.") for name in model.state_dict())
    if keep:
        own = {name.removeprefix("vision_model."): value for name, value in own.items()}
    outcome = model.load_state_dict(own, strict=False)
    assert not outcome.missing_keys, outcome


def read_image_processor(folder: Path, *, siglip: bool) -> Any:
    """The PIL version, which resizes as the authors' transformers did."""
    import transformers

    kind = "SiglipImageProcessorPil" if siglip else "CLIPImageProcessorPil"
    return getattr(transformers, kind).from_pretrained(folder)


def _linear(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    prefix = f"{name}." if name else ""
    return functional.linear(x, state[f"{prefix}weight"], state[f"{prefix}bias"])


def _norm(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    weight = state[f"{name}.weight"]
    return functional.layer_norm(x, weight.shape, weight, state[f"{name}.bias"], 1e-5)


def _one_linear(state: State, x: torch.Tensor) -> torch.Tensor:
    return _linear(state, "", x)


def _two_linears(state: State, x: torch.Tensor) -> torch.Tensor:
    return _linear(state, "2", functional.gelu(_linear(state, "0", x)))


def _two_normed_linears(state: State, x: torch.Tensor) -> torch.Tensor:
    first = _norm(state, "1", _linear(state, "0", x))
    return _norm(state, "4", _linear(state, "3", functional.gelu(first)))


def _ldp(state: State, x: torch.Tensor) -> torch.Tensor:
    """The block as torchvision's MobileNetV3 and timm's LayerNormAct2d compute it."""
    x = _linear(state, "model.mlp.3", functional.gelu(_linear(state, "model.mlp.1", x)))
    images, patches, width = x.shape
    edge = int(math.sqrt(patches))
    x = x.permute(0, 2, 1).reshape(images, -1, edge, edge)
    for index, stride in ((1, 1), (2, 2)):
        block = f"model.mb_block.{index}.block"
        weight = state[f"{block}.0.0.weight"]
        y = functional.conv2d(x, weight, stride=stride, padding=1, groups=width)
        y = functional.hardswish(_channel_norm(state, f"{block}.0.1", y))
        squeezed = functional.adaptive_avg_pool2d(y, 1)
        squeezed = functional.relu(_conv(state, f"{block}.1.fc1", squeezed))
        y = functional.hardsigmoid(_conv(state, f"{block}.1.fc2", squeezed)) * y
        y = functional.conv2d(y, state[f"{block}.2.0.weight"])
        y = _channel_norm(state, f"{block}.2.1", y)
        x = x + y if stride == 1 else y
    return x.flatten(2).permute(0, 2, 1)


def _channel_norm(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return _norm(state, name, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _conv(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"])


def _ldpv2(state: State, x: torch.Tensor) -> torch.Tensor:
    """FeatureIRLayer, TokenDownLayer to 12x12, PosInjectLayer."""
    x = _linear(state, "mlp.mlp.2", functional.gelu(_linear(state, "mlp.mlp.0", x)))
    images, patches, width = x.shape
    edge = int(math.sqrt(patches))
    x = x.permute(0, 2, 1).reshape(images, -1, edge, edge)
    x = functional.adaptive_avg_pool2d(x, (12, 12))
    weight, bias = state["peg.peg.0.weight"], state["peg.peg.0.bias"]
    x = functional.conv2d(x, weight, bias, padding=1, groups=width) + x
    return x.flatten(2).transpose(1, 2)


_PROJECTORS = {
    "linear": _one_linear,
    "mlp2x_gelu": _two_linears,
    "mlp2x_gelu_Norm": _two_normed_linears,
    "ldpnet": _ldp,
    "ldpnetv2": _ldpv2,
}
