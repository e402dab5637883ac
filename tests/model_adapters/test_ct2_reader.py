import struct

import numpy as np
import pytest

from sensorium.model_adapters.ct2.reader import (
    CT2Error,
    CT2File,
    Variable,
    bfloat16_to_float32,
    read_model,
)
from tests.kit.ct2_files import floating, integer, model_bytes, string

SMALL = CT2File(
    spec="AnySpec",
    revision=7,
    variables={
        "a/weight": floating(np.arange(6, dtype=np.float32).reshape(2, 3), "float16"),
        "a/bias": floating(np.array([1.5, -2], np.float32), "bfloat16"),
        "a/n": integer("int16", -3),
    },
    aliases={"b/weight": "a/weight"},
)
HEAD = struct.pack("<I", 6) + string("AnySpec") + struct.pack("<I", 7)


def one_variable(*, rank: int, shape: list[int], kind: int, size: int, data: bytes = b"") -> bytes:
    head = HEAD + struct.pack("<I", 1) + string("x") + struct.pack("<B", rank)
    return head + struct.pack(f"<{len(shape)}I", *shape) + struct.pack("<BI", kind, size) + data


@pytest.mark.parametrize("version", [4, 5, 6])
def test_reads_what_was_written(version: int) -> None:
    read = read_model(model_bytes(SMALL, version))
    assert (read.spec, read.revision, read.aliases) == ("AnySpec", 7, SMALL.aliases)
    assert list(read.variables) == list(SMALL.variables)
    for name, variable in SMALL.variables.items():
        assert read.variables[name].dtype == variable.dtype
        np.testing.assert_array_equal(read.variables[name].values, variable.values)


def test_arrays_are_views_of_the_file() -> None:
    data = model_bytes(SMALL)
    values = read_model(data).variables["a/weight"].values
    assert np.shares_memory(values, np.frombuffer(data, np.uint8))


def test_writer_and_reader_agree_byte_for_byte() -> None:
    assert model_bytes(read_model(model_bytes(SMALL))) == model_bytes(SMALL)


def test_bfloat16_widens_exactly() -> None:
    values = np.array([0.0, -1.0, 3.140625, 1e30], np.float32)
    patterns = (values.view(np.uint32) >> 16).astype(np.uint16)
    np.testing.assert_array_equal(
        bfloat16_to_float32(patterns).view(np.uint32), values.view(np.uint32) & 0xFFFF0000
    )


@pytest.mark.parametrize("end", range(0, len(model_bytes(SMALL)), 3))
def test_a_cut_file_is_refused(end: int) -> None:
    with pytest.raises(CT2Error, match="cut off"):
        read_model(model_bytes(SMALL)[:end])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (model_bytes(SMALL) + b"\0", "1 bytes follow the last alias"),
        (model_bytes(SMALL, version=3), "binary version 3: only 4, 5, 6"),
        (model_bytes(SMALL, version=7), "binary version 7"),
        (struct.pack("<IH", 6, 3) + b"abc", "byte 4: not a NUL-terminated string"),
        (struct.pack("<IH", 6, 3) + b"a\0\0", "byte 4: not a NUL-terminated string"),
        (struct.pack("<IH", 6, 3) + b"\xff\xfe\0", "byte 4: a string that is not UTF-8"),
        (HEAD + struct.pack("<I", 1) + string(""), "name is empty"),
        (one_variable(rank=1, shape=[1], kind=6, size=4), "x: unknown type number 6"),
        (
            one_variable(rank=1, shape=[2], kind=0, size=4),
            r"x: 4 bytes do not hold float32 .*\[2\]",
        ),
        (one_variable(rank=1, shape=[0], kind=0, size=0), r"x: shape \[0\]"),
        (one_variable(rank=9, shape=[1] * 9, kind=0, size=4), "up to 8 dimensions"),
        (one_variable(rank=2, shape=[2**31, 2**31], kind=0, size=0), "0 bytes do not hold"),
        (model_bytes(CT2File("S", 1, SMALL.variables, {"b": "nowhere"})), "target 'nowhere'"),
        (model_bytes(CT2File("S", 1, SMALL.variables, {"a/n": "a/bias"})), "occurs twice"),
        (model_bytes(CT2File("S", 1, SMALL.variables, {"b": "a/n", "c": "b"})), "target 'b'"),
    ],
)
def test_malformed_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(CT2Error, match=message):
        read_model(data)


def test_a_name_that_occurs_twice_is_refused() -> None:
    twice = CT2File("S", 1, {"x": integer("int8", 1), "y": integer("int8", 2)}, {})
    data = model_bytes(twice).replace(string("y"), string("x"))
    with pytest.raises(CT2Error, match="variable 'x': the name is empty or occurs twice"):
        read_model(data)


def test_random_damage_raises_nothing_but_its_own_error() -> None:
    data = model_bytes(SMALL)
    random = np.random.default_rng(5)
    for _ in range(2000):
        damaged = bytearray(data)
        for position in random.integers(0, len(data), 3):
            damaged[position] = random.integers(256)
        try:
            read = read_model(bytes(damaged))
        except CT2Error:
            continue
        assert all(isinstance(variable, Variable) for variable in read.variables.values())
