"""The tiny checkpoints of this tier, built once a run, and the engines that serve them."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.families.parity import Subject
    from tests.families.reference import Reference

# Prompts cut every 24 tokens, through each image.
COMPILED_CHUNKS: dict[str, Any] = {"max_num_batched_tokens": 24, "compiled": True}
ENGINES: dict[str, dict[str, Any]] = {
    "whole prompts": {},
    "chunks of 24, compiled": COMPILED_CHUNKS,
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the checkpoints and, beside them, their towers."""
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="session", autouse=True)
def _no_garbage_after_the_last_test() -> Iterator[None]:
    """Let go of what `Served` kept from the collector, so that nothing is printed at the exit."""
    yield
    gc.unfreeze()
    gc.collect()


@pytest.fixture(scope="class")
def read(request: pytest.FixtureRequest) -> Callable[[Path], Reference]:
    """How the class reads its checkpoint, done once for all of its engines."""
    proof: Any = request.cls
    return functools.cache(proof.read)


@pytest.fixture(scope="class", params=ENGINES.values(), ids=ENGINES.keys())
def subject(
    folder: Path, read: Callable[[Path], Reference], request: pytest.FixtureRequest
) -> Iterator[Subject]:
    """The checkpoint that the test class names, served, and its reference."""
    from tests.families.parity import serving

    proof: Any = request.cls
    given = (proof.checkpoint, folder, proof.prompt, read, proof.write)
    with serving(*given, **{**proof.options, **request.param}) as found:
        yield found
