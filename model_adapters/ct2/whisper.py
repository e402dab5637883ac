"""The variables of a CTranslate2 Whisper, renamed and split into Hugging Face weights.

What differs between the two layouts, besides the names:

- attention projections are fused row-wise in CTranslate2 (q, k, v in self-attention; k, v in
  cross-attention), and the key projection, which has no bias in Whisper, is given zeros;
- quantised weights are stored as integers with `<name>_scale`: weight = stored / scale. int8 has a
  scale per output row (or, in old files, one), int16 has one;
- the output projection is an alias of the token embedding.

Every variable must be claimed by exactly one weight, and every number must be finite: a file that
only nearly fits is refused. Source: `WhisperSpec` revision 3 of CTranslate2 4.8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorium.model_adapters.ct2.reader import CT2Error, CT2File, Variable, bfloat16_to_float32
from sensorium.model_adapters.whisper.facts import WhisperDimensions

__all__ = ["WhisperDimensions", "WhisperWeights", "whisper_weights"]

FLOAT_TYPES = ("float32", "float16", "bfloat16")

# Switches of CTranslate2's generic decoder and the only value Whisper's architecture allows
# (activation 3 is the exact GELU). Files of other releases lack some of them or have more; those
# below may be missing, any other must be known before it can be dropped.
DECODER_SWITCHES = {
    "activation": 3,
    "alibi": 0,
    "alibi_use_positive_positions": 0,
    "alignment_heads": 1,
    "alignment_layer": -1,
    "pre_norm": 1,
    "scale_alibi": 0,
    "scale_embeddings": 0,
    "start_from_zero_embedding": 0,
}


@dataclass(frozen=True)
class WhisperWeights:
    """Hugging Face weight names and values.

    `dtype` is "float16" or "bfloat16" when every stored weight had that type, else "float32".
    bfloat16 values are uint16 bit patterns, as in the file.
    """

    dtype: str
    tensors: dict[str, NDArray[np.generic]]
    dimensions: WhisperDimensions


def whisper_weights(file: CT2File) -> WhisperWeights:
    """Map a parsed CTranslate2 Whisper to Hugging Face weights; `CT2Error` where it does not fit.

    `proj_out.weight` is left out: it is tied to the token embedding.
    """
    if (file.spec, file.revision) != ("WhisperSpec", 3):
        raise CT2Error(f"{file.spec} revision {file.revision}: only WhisperSpec revision 3 is read")
    return _Mapper(file).run()


class _Mapper:
    """One pass over a file: takes each variable once, and collects the renamed weights."""

    def __init__(self, file: CT2File) -> None:
        self.file = file
        self.left = set(file.variables) | set(file.aliases)
        self.dtype = self._common_type()
        self.out: dict[str, NDArray[np.generic]] = {}
        self.width, self.mels, _ = self.shape("encoder/conv1/weight", 3)

    def run(self) -> WhisperWeights:
        words, _ = self.shape("decoder/embeddings/weight", 2)
        for number, inputs in ((1, self.mels), (2, self.width)):
            name = f"encoder/conv{number}"
            self.affine(f"model.{name.replace('/', '.')}", name, self.width, inputs, 3)
        layers, heads, ffn, positions = zip(
            self.stack("encoder"), self.stack("decoder"), strict=True
        )
        self.embedding(words)
        self.switches()
        if self.left:
            raise CT2Error(f"variables with no place in a Whisper: {_some(self.left)}")
        dimensions = WhisperDimensions(
            d_model=self.width,
            num_mel_bins=self.mels,
            vocab_size=words,
            encoder_layers=layers[0],
            decoder_layers=layers[1],
            encoder_attention_heads=heads[0],
            decoder_attention_heads=heads[1],
            encoder_ffn_dim=ffn[0],
            decoder_ffn_dim=ffn[1],
            max_source_positions=positions[0],
            max_target_positions=positions[1],
        )
        return WhisperWeights(self.dtype, self.out, dimensions)

    def stack(self, side: str) -> tuple[int, int, int, int]:
        """The encoder or the decoder; returns its (layers, heads, ffn width, positions)."""
        heads = self.scalar(f"{side}/num_heads")
        if heads <= 0 or self.width % heads:
            raise CT2Error(f"{side}/num_heads: {heads} heads do not divide a width of {self.width}")
        encodings = f"{side}/position_encodings/encodings"
        positions, _ = self.shape(encodings, 2)
        ffn, _ = self.shape(f"{side}/layer_0/ffn/linear_0/weight", 2)
        self.out[f"model.{side}.embed_positions.weight"] = self.tensor(
            encodings, positions, self.width
        )
        self.norm(f"model.{side}.layer_norm", f"{side}/layer_norm")
        layers = self.layer_count(side)
        for index in range(layers):
            self.layer(side, index, ffn)
        return layers, heads, ffn, positions

    def layer_count(self, side: str) -> int:
        pattern = re.compile(rf"{side}/layer_(\d{{1,4}})/")
        found = {int(match[1]) for name in self.left if (match := pattern.match(name))}
        gap = min(set(range(len(found))) - found, default=None)
        if gap is not None:
            raise CT2Error(f"{side}: layer {gap} of {max(found) + 1} is missing")
        return len(found)

    def layer(self, side: str, index: int, ffn: int) -> None:
        hf, ct2 = f"model.{side}.layers.{index}", f"{side}/layer_{index}"
        self.norm(f"{hf}.self_attn_layer_norm", f"{ct2}/self_attention/layer_norm")
        self.projections(f"{hf}.self_attn", f"{ct2}/self_attention/linear_0", "q", "k", "v")
        self.projections(f"{hf}.self_attn", f"{ct2}/self_attention/linear_1", "out")
        if side == "decoder":
            self.norm(f"{hf}.encoder_attn_layer_norm", f"{ct2}/attention/layer_norm")
            self.projections(f"{hf}.encoder_attn", f"{ct2}/attention/linear_0", "q")
            self.projections(f"{hf}.encoder_attn", f"{ct2}/attention/linear_1", "k", "v")
            self.projections(f"{hf}.encoder_attn", f"{ct2}/attention/linear_2", "out")
        self.norm(f"{hf}.final_layer_norm", f"{ct2}/ffn/layer_norm")
        self.affine(f"{hf}.fc1", f"{ct2}/ffn/linear_0", ffn, self.width)
        self.affine(f"{hf}.fc2", f"{ct2}/ffn/linear_1", self.width, ffn)

    def norm(self, hf: str, ct2: str) -> None:
        self.out[f"{hf}.weight"] = self.tensor(f"{ct2}/gamma", self.width)
        self.out[f"{hf}.bias"] = self.tensor(f"{ct2}/beta", self.width)

    def affine(self, hf: str, ct2: str, *shape: int) -> None:
        self.out[f"{hf}.weight"] = self.tensor(f"{ct2}/weight", *shape)
        self.out[f"{hf}.bias"] = self.tensor(f"{ct2}/bias", shape[0])

    def projections(self, hf: str, ct2: str, *names: str) -> None:
        """Split one fused layer by rows over the projections `names`."""
        weight = self.tensor(f"{ct2}/weight", self.width * len(names), self.width)
        bias = self.tensor(f"{ct2}/bias", self.width * len(names))
        for index, name in enumerate(names):
            rows = slice(index * self.width, (index + 1) * self.width)
            self.out[f"{hf}.{name}_proj.weight"] = weight[rows]
            if name != "k":
                self.out[f"{hf}.{name}_proj.bias"] = bias[rows]
            elif self.floats(bias[rows]).any():
                raise CT2Error(f"{ct2}/bias: the key part is not zero; Whisper's keys have no bias")

    def embedding(self, words: int) -> None:
        name, projection = "decoder/embeddings/weight", "decoder/projection/weight"
        if self.file.aliases.get(projection) != name:
            raise CT2Error(f"{projection} must be an alias of {name}: Whisper ties the two")
        self.left.discard(projection)
        self.out["model.decoder.embed_tokens.weight"] = self.tensor(name, words, self.width)

    def switches(self) -> None:
        for name, allowed in DECODER_SWITCHES.items():
            if f"decoder/{name}" not in self.left:
                continue
            value = self.scalar(f"decoder/{name}")
            if value != allowed:
                raise CT2Error(f"decoder/{name} is {value}; in a Whisper it is {allowed}")

    def lookup(self, name: str) -> Variable:
        variable = self.file.variables.get(self.file.aliases.get(name, name))
        if variable is None:
            raise CT2Error(f"{name} is missing")
        return variable

    def shape(self, name: str, rank: int) -> tuple[int, ...]:
        shape = self.lookup(name).shape
        if len(shape) != rank:
            raise CT2Error(f"{name}: shape {list(shape)}; {rank} dimensions are needed")
        return shape

    def scalar(self, name: str) -> int:
        self.shape(name, 0)
        variable = self.lookup(name)
        self.left.discard(name)
        if variable.dtype not in ("int8", "int16", "int32"):
            raise CT2Error(f"{name}: a {variable.dtype}; an integer is needed")
        return int(variable.values.item())

    def tensor(self, name: str, *shape: int) -> NDArray[np.generic]:
        """Take a weight, in the type all of them get."""
        variable = self.lookup(name)
        if variable.shape != shape:
            raise CT2Error(f"{name}: shape {list(variable.shape)}, expected {list(shape)}")
        self.left.discard(name)
        values = self.dequantised(name, variable)
        if not np.isfinite(self.floats(values)).all():
            raise CT2Error(f"{name}: holds values that are not finite")
        return values

    def dequantised(self, name: str, variable: Variable) -> NDArray[np.generic]:
        # The scale of an alias is the scale of its target, and may be stored under either name.
        target = self.file.aliases.get(name, name)
        scale = self.file.variables.get(f"{target}_scale")
        self.left -= {f"{target}_scale", f"{name}_scale"}
        if variable.dtype in FLOAT_TYPES:
            if scale is not None:
                raise CT2Error(f"{name}: a {variable.dtype} with a scale; only integers have one")
            if variable.dtype == self.dtype:
                return variable.values
            return _float32(variable)
        if variable.dtype not in ("int8", "int16") or scale is None:
            raise CT2Error(f"{name}: {variable.dtype} without a scale cannot be turned into floats")
        return _float32(variable) / self.row_scale(name, scale, variable.shape)

    def row_scale(self, name: str, scale: Variable, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if scale.dtype not in FLOAT_TYPES or scale.shape not in ((), (1,), shape[:1]):
            raise CT2Error(
                f"{name}_scale: {scale.dtype} of shape {list(scale.shape)}; "
                f"floats of shape [] or {list(shape[:1])} are needed"
            )
        divisors = _float32(scale)
        if not (np.isfinite(divisors).all() and (divisors > 0).all()):
            raise CT2Error(f"{name}_scale: scales must be positive and finite")
        return divisors.reshape([-1] + [1] * (len(shape) - 1))

    def floats(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        return bfloat16_to_float32(values) if self.dtype == "bfloat16" else values

    def _common_type(self) -> str:
        """The type of the output: 16 bits where every stored weight already has just that type."""
        types = {v.dtype for v in self.file.variables.values() if v.shape}
        return types.pop() if types in ({"float16"}, {"bfloat16"}) else "float32"


def _float32(variable: Variable) -> NDArray[np.float32]:
    if variable.dtype == "bfloat16":
        return bfloat16_to_float32(variable.values)
    return variable.values.astype(np.float32)


def _some(names: set[str]) -> str:
    """The first few of a set of names, for an error message."""
    ordered = sorted(names)
    return ", ".join(ordered[:5]) + (f" and {len(ordered) - 5} more" if len(ordered) > 5 else "")
