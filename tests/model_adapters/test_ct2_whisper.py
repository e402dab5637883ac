from collections.abc import Callable

import numpy as np
import pytest

from sensorium.model_adapters.ct2.reader import (
    CT2Error,
    CT2File,
    bfloat16_to_float32,
    read_model,
)
from sensorium.model_adapters.ct2.whisper import whisper_weights
from tests.kit.ct2_files import (
    dimensions,
    floating,
    integer,
    model_bytes,
    quantised,
    random_weights,
    whisper_file,
)

# A small vocabulary: only the tokenizer's side checks that it is one of Whisper's.
SIZES = dimensions(vocab_size=11)
WEIGHTS = random_weights(SIZES)
QKV = "decoder/layer_0/self_attention/linear_0"


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
def test_floats_keep_their_type_and_bits(kind: str) -> None:
    mapped = whisper_weights(read_model(model_bytes(whisper_file(SIZES, WEIGHTS, kind))))
    assert mapped.dtype == kind
    assert mapped.dimensions == SIZES
    assert mapped.tensors.keys() == WEIGHTS.keys()
    for name, expected in WEIGHTS.items():
        values = mapped.tensors[name]
        got = bfloat16_to_float32(values) if kind == "bfloat16" else values
        np.testing.assert_array_equal(got, expected, err_msg=name)


@pytest.mark.parametrize("kind", ["int8", "int8_float16", "int8_bfloat16", "int16"])
def test_integers_come_back_within_half_a_step(kind: str) -> None:
    mapped = whisper_weights(read_model(model_bytes(whisper_file(SIZES, WEIGHTS, kind))))
    assert mapped.dtype == "float32"
    steps = 2 * 127 if kind.startswith("int8") else 2 * 1024
    for name, expected in WEIGHTS.items():
        assert mapped.tensors[name].dtype == np.float32
        got = mapped.tensors[name].astype(np.float32)
        tolerance = np.abs(expected).max() / steps * 1.001 if expected.ndim > 1 else 0
        np.testing.assert_allclose(got, expected, rtol=0, atol=max(tolerance, 1e-7), err_msg=name)


def test_an_old_int8_file_has_one_scale_for_all_rows() -> None:
    file = whisper_file(SIZES, WEIGHTS)
    stored, _ = quantised(WEIGHTS["model.decoder.layers.0.fc1.weight"], "int8")
    name = "decoder/layer_0/ffn/linear_0/weight"
    scale = floating(np.array([50], np.float32), "float32")
    file.variables.update({name: stored, f"{name}_scale": scale})
    got = whisper_weights(file).tensors["model.decoder.layers.0.fc1.weight"]
    np.testing.assert_array_equal(got, stored.values.astype(np.float32) / np.float32(50))


def test_layer_counts_heads_and_widths_may_differ_between_the_sides() -> None:
    # A distilled model: few decoder layers; and the 128 mel bins of large-v3.
    sizes = dimensions(
        vocab_size=11,
        encoder_layers=12,
        decoder_layers=2,
        num_mel_bins=128,
        encoder_attention_heads=4,
        encoder_ffn_dim=10,
    )
    weights = random_weights(sizes)
    mapped = whisper_weights(whisper_file(sizes, weights))
    assert mapped.dimensions == sizes
    for name, expected in weights.items():
        np.testing.assert_array_equal(mapped.tensors[name], expected, err_msg=name)


def test_equal_weights_that_the_writer_stored_once_are_found_through_the_alias() -> None:
    file = whisper_file(SIZES, WEIGHTS)
    shared, user = "encoder/layer_norm/beta", "decoder/layer_norm/beta"
    del file.variables[user]
    file.aliases[user] = shared
    tensors = whisper_weights(file).tensors
    np.testing.assert_array_equal(
        tensors["model.decoder.layer_norm.bias"], tensors["model.encoder.layer_norm.bias"]
    )


def test_an_aliased_integer_weight_uses_the_scale_of_its_target() -> None:
    file = whisper_file(SIZES, WEIGHTS, "int8")
    target = "decoder/layer_0/self_attention/linear_1/weight"
    alias = "decoder/layer_0/attention/linear_2/weight"
    del file.variables[alias], file.variables[f"{alias}_scale"]
    file.aliases[alias] = target
    tensors = whisper_weights(file).tensors
    np.testing.assert_array_equal(
        tensors["model.decoder.layers.0.encoder_attn.out_proj.weight"],
        tensors["model.decoder.layers.0.self_attn.out_proj.weight"],
    )


def test_switches_of_other_releases_are_checked_when_there_and_not_missed() -> None:
    file = whisper_file(SIZES, WEIGHTS)
    file.variables["decoder/scale_alibi"] = integer("int8", 0)
    del file.variables["decoder/start_from_zero_embedding"]
    assert whisper_weights(file).dimensions == SIZES


def rename(old: str, new: str) -> Callable[[CT2File], None]:
    def change(file: CT2File) -> None:
        for name in [name for name in file.variables if name.startswith(old)]:
            file.variables[name.replace(old, new, 1)] = file.variables.pop(name)

    return change


def put(name: str, values: object, dtype: str = "float32") -> Callable[[CT2File], None]:
    def change(file: CT2File) -> None:
        array = np.array(values, np.float32)
        whole = dtype.startswith("int") and array.ndim == 0
        file.variables[name] = integer(dtype, int(array)) if whole else floating(array, dtype)

    return change


def poke(name: str, index: int, value: float) -> Callable[[CT2File], None]:
    def change(file: CT2File) -> None:
        values = file.variables[name].values.copy()
        values.reshape(-1)[index] = value
        file.variables[name] = type(file.variables[name])("float32", values)

    return change


def drop(name: str) -> Callable[[CT2File], None]:
    def change(file: CT2File) -> None:
        del file.variables[name]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("encoder/conv2/bias"), "encoder/conv2/bias is missing"),
        (drop("decoder/num_heads"), "decoder/num_heads is missing"),
        (put("decoder/extra", [1.0]), "no place in a Whisper: decoder/extra"),
        (put("decoder/rotary_dim", 4, "int32"), "no place in a Whisper: decoder/rotary_dim"),
        (rename("decoder/layer_0/", "decoder/layer_1/"), "decoder/layer_0/.* is missing"),
        (rename("encoder/layer_1/", "encoder/layer_2/"), "encoder: layer 1 of 3 is missing"),
        (rename("encoder/layer_2/", "encoder/layer_99999/"), "no place in a Whisper"),
        (poke(f"{QKV}/bias", SIZES.d_model, 0.5), f"{QKV}/bias: the key part is not zero"),
        (poke(f"{QKV}/weight", 3, np.nan), f"{QKV}/weight: holds values that are not finite"),
        (poke("decoder/layer_norm/gamma", 0, np.inf), "gamma: holds values that are not finite"),
        (put("encoder/conv1/bias", [1.0]), r"conv1/bias: shape \[1\], expected \[4\]"),
        (put("encoder/conv1/weight", [[1.0]]), r"conv1/weight: shape \[1, 1\]; 3 dimensions"),
        (put("decoder/activation", 0, "int8"), "decoder/activation is 0; in a Whisper it is 3"),
        (put("decoder/pre_norm", 0, "int8"), "decoder/pre_norm is 0"),
        (put("decoder/alibi", 1, "int8"), "decoder/alibi is 1"),
        (put("encoder/num_heads", 3, "int16"), "3 heads do not divide a width of 4"),
        (put("encoder/num_heads", 0, "int16"), "0 heads do not divide"),
        (put("encoder/num_heads", 2.0, "float32"), "num_heads: a float32; an integer"),
        (put("encoder/num_heads", [2.0]), r"num_heads: shape \[1\]; 0 dimensions"),
        (put(f"{QKV}/weight_scale", [1.0] * 12), "float32 with a scale"),
        (lambda file: file.aliases.clear(), "projection/weight must be an alias"),
        (
            lambda file: file.aliases.update({"decoder/projection/weight": "encoder/conv1/bias"}),
            "projection/weight must be an alias",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused(change: Callable[[CT2File], None], message: str) -> None:
    sizes = dimensions(vocab_size=11, encoder_layers=3)
    file = whisper_file(sizes, random_weights(sizes))
    change(file)
    with pytest.raises(CT2Error, match=message):
        whisper_weights(read_model(model_bytes(file)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop(f"{QKV}/weight_scale"), "int8 without a scale"),
        (put(f"{QKV}/weight_scale", [1.0, 2.0]), r"weight_scale: float32 of shape \[2\]"),
        (put(f"{QKV}/weight_scale", [0.0] * 12), "scales must be positive and finite"),
        (put(f"{QKV}/weight_scale", [np.nan] * 12), "scales must be positive and finite"),
        (put("encoder/conv1/nothing_scale", [1.0]), "no place in a Whisper"),
    ],
)
def test_bad_scales_are_refused(change: Callable[[CT2File], None], message: str) -> None:
    file = whisper_file(SIZES, WEIGHTS, "int8")
    change(file)
    with pytest.raises(CT2Error, match=message):
        whisper_weights(file)


@pytest.mark.parametrize(("spec", "revision"), [("TransformerSpec", 3), ("WhisperSpec", 2)])
def test_other_models_are_refused(spec: str, revision: int) -> None:
    file = whisper_file(SIZES, WEIGHTS)
    with pytest.raises(CT2Error, match=f"{spec} revision {revision}: only WhisperSpec revision 3"):
        whisper_weights(CT2File(spec, revision, file.variables, file.aliases))
