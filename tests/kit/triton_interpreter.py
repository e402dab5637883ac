"""Triton's CPU interpreter, made exact enough for bfloat16 and fp8, and strict about addresses.

Faults of triton 3.6 to 3.9 (`triton/runtime/interpreter.py`; triton-lang/triton issue 11584, whose
fix was declined): bfloat16 blocks are uint16 arrays on which arithmetic and `tl.dot` work as if
they were numbers, and casts to bfloat16 and fp8 truncate. `repair` replaces the few builder methods
that do so; kernels stay as they are. `check_bounds` makes every load and store outside the tensors
of a call an error, where a GPU would read or spoil whatever lies there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter

__all__ = ["OutOfBoundsError", "check_bounds", "reachable", "repair", "starting_at"]

_FP8 = {"fp8e4nv": torch.float8_e4m3fn, "fp8e5": torch.float8_e5m2}
_Handle = interpreter.TensorHandle
_Builder = interpreter.InterpreterBuilder


class OutOfBoundsError(IndexError):
    """An address that belongs to no tensor of the call."""


def widen(bits: Any) -> Any:
    """float32 from the bits of bfloat16."""
    return (np.ascontiguousarray(bits).astype(np.uint32) << 16).view(np.float32)


def narrow(values: Any) -> Any:
    """Bits of bfloat16, rounded to nearest and even as GPUs do."""
    exact = np.ascontiguousarray(values, dtype=np.float32)
    bits = exact.view(np.uint32)
    rounded = ((bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16).astype(np.uint16)
    return np.where(np.isnan(exact), np.uint16(0x7FC0), rounded)


def _to_fp8(values: Any, name: str) -> Any:
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    if name == "fp8e4nv":  # the GPU's conversion saturates
        largest = torch.finfo(_FP8[name]).max
        tensor = tensor.clamp(-largest, largest)
    return tensor.to(_FP8[name]).view(torch.uint8).numpy()


def _is_bf16(handle: Any) -> bool:
    return bool(handle.dtype.scalar == tl.bfloat16)


def _values(handle: Any) -> Any:
    return widen(handle.data) if _is_bf16(handle) else handle.data


def repair() -> None:
    """Install the replacements; once a process, before the first kernel runs."""
    if getattr(_Builder, "_repaired", False):
        return
    _Builder._repaired = True
    _repair_casts()
    _repair_arithmetic()
    _repair_dot()


def _repair_casts() -> None:
    their_cast, their_fp_to_fp = _Builder.cast_impl, _Builder.create_fp_to_fp

    def cast(self: Any, source: Any, target: Any) -> Any:
        to = target.scalar
        if _is_bf16(source):
            if to == tl.bfloat16:
                return source
            wide = _Handle(widen(source.data), tl.float32)
            return wide if to == tl.float32 else cast(self, wide, target)
        if to == tl.bfloat16:
            return _Handle(narrow(source.data.astype(np.float32)), to)
        return their_cast(self, source, target)

    def fp_to_fp(self: Any, source: Any, target: Any, rounding: Any) -> Any:
        to = target.scalar
        if to.name in _FP8 and not source.dtype.scalar.is_fp8():
            return _Handle(_to_fp8(_values(source), to.name), to)
        if tl.bfloat16 in (source.dtype.scalar, to) and not source.dtype.scalar.is_fp8():
            return cast(self, source, target)
        return their_fp_to_fp(self, source, target, rounding)

    _Builder.cast_impl, _Builder.create_fp_to_fp = cast, fp_to_fp


def _repair_arithmetic() -> None:
    their_binary, their_unary = _Builder.binary_op, _Builder.unary_op

    def binary(self: Any, left: Any, right: Any, operation: Any) -> Any:
        if not (_is_bf16(left) and _is_bf16(right)):
            return their_binary(self, left, right, operation)
        result = operation(widen(left.data), widen(right.data))
        if result.dtype == np.bool_:
            return _Handle(result, tl.int1)
        return _Handle(narrow(result), tl.bfloat16)

    def unary(self: Any, value: Any, operation: Any) -> Any:
        if not _is_bf16(value):
            return their_unary(self, value, operation)
        return _Handle(narrow(operation(widen(value.data))), tl.bfloat16)

    _Builder.binary_op, _Builder.unary_op = binary, unary


def _repair_dot() -> None:
    their_dot = _Builder.create_dot

    def dot(self: Any, a: Any, b: Any, total: Any, precision: Any, imprecise: Any) -> Any:
        halves = _is_bf16(a) or a.data.dtype == np.float16
        if halves and total.data.dtype == np.float32:
            product = np.matmul(_values(a).astype(np.float32), _values(b).astype(np.float32))
            return _Handle(product + total.data, total.dtype.scalar)
        return their_dot(self, a, b, total, precision, imprecise)

    _Builder.create_dot = dot


_REACHABLE: list[tuple[int, int]] = []
_POINTED_AT: list[tuple[int, int]] = []


@contextmanager
def reachable(tensors: Iterable[torch.Tensor]) -> Iterator[None]:
    """Tensors that a kernel reaches through a table of pointers."""
    spans = [_span(tensor) for tensor in tensors]
    _POINTED_AT.extend(spans)
    try:
        yield
    finally:
        del _POINTED_AT[len(_POINTED_AT) - len(spans) :]


@contextmanager
def starting_at(program: int) -> Iterator[None]:
    """Number programs from `program` on: one program at the end of a grid too large to run."""
    theirs = _Builder.create_get_program_id

    def shifted(self: Any, axis: int) -> Any:
        handle = theirs(self, axis)
        if axis == 0:
            handle = _Handle(handle.data + np.int32(program), handle.dtype)
        return handle

    _Builder.create_get_program_id = shifted
    try:
        yield
    finally:
        _Builder.create_get_program_id = theirs


def _span(tensor: torch.Tensor) -> tuple[int, int]:
    """First byte and one past the last that the view can reach, whatever its storage holds."""
    if tensor.numel() == 0:
        return 0, 0
    last = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()


def check_bounds() -> None:
    """Check addresses from now on; once a process."""
    if getattr(_Builder, "_checked", False):
        return
    _Builder._checked = True
    _Builder.create_masked_load = _checking(_Builder.create_masked_load, "load")
    _Builder.create_masked_store = _checking(_Builder.create_masked_store, "store")
    executor = interpreter.GridExecutor
    their_arguments = executor._init_args_hst

    def arguments(self: Any, args: Any, kwargs: Any) -> Any:
        on_host = their_arguments(self, args, kwargs)
        tensors = [*on_host[0], *on_host[1].values()]
        _REACHABLE[:] = [_span(tensor) for tensor in tensors if isinstance(tensor, torch.Tensor)]
        return on_host

    executor._init_args_hst = arguments


def _checking(theirs: Callable[..., Any], what: str) -> Callable[..., Any]:
    def access(self: Any, pointers: Any, *rest: Any, **options: Any) -> Any:
        mask = rest[1] if what == "store" else rest[0]
        _check(pointers, mask, what)
        return theirs(self, pointers, *rest, **options)

    return access


def _check(pointers: Any, mask: Any, what: str) -> None:
    addresses = np.asarray(pointers.data).reshape(-1)
    if mask is not None:
        active = np.broadcast_to(np.asarray(mask.data).astype(bool), np.shape(pointers.data))
        addresses = addresses[active.reshape(-1)]
    size = max(1, pointers.dtype.scalar.element_ty.primitive_bitwidth // 8)
    addresses = addresses.astype(np.int64)
    inside = np.zeros(addresses.shape, bool)
    for start, end in _REACHABLE + _POINTED_AT:
        inside |= (addresses >= start) & (addresses + size <= end)
    if not inside.all():
        raise OutOfBoundsError(
            f"{what}: {int((~inside).sum())} of {addresses.size} active addresses are outside of "
            "every tensor of the call"
        )
