"""The tiny checkpoints of this tier, built once a run, and the engines that serve them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.families.parity import Subject

# Prompts as they are, and cut every 24 tokens: through each image.
ENGINES: dict[str, dict[str, Any]] = {
    "whole prompts": {},
    "chunks of 24": {"max_num_batched_tokens": 24, "max_num_seqs": 4},
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


@pytest.fixture(scope="class", params=ENGINES.values(), ids=ENGINES.keys())
def subject(folder: Path, request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The checkpoint that the test class names, served, and its reference."""
    from tests.families.parity import serving

    proof: Any = request.cls
    given = (proof.checkpoint, folder, proof.prompt, proof.read, proof.write)
    with serving(*given, **{**proof.options, **request.param}) as found:
        yield found
