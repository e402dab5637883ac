"""A LLaVA on Qwen-1 and one on GPT-NeoX, without specs of their own, equal the reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.families.parity import Subject
from tests.families.proof import LightProof, family_marks
from tests.families.test_llava import VICUNA

pytestmark = family_marks


@pytest.fixture(scope="class")
def subject(folder: Path, request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The checkpoint that the test class names, served, and its reference."""
    from tests.families.legacy_composed import serving

    proof: Any = request.cls
    options = {**request.param, "max_num_batched_tokens": 64, "max_model_len": proof.context}
    with serving(proof.checkpoint, folder, proof.prompt, **options) as found:
        yield found


class TestOnQwen1(LightProof):
    """Translated tensors and config below `transformer.`, qwen.tiktoken."""

    checkpoint = "llava-qwen1"
    context = 4096  # for a question that holds all 208 special tokens
    prompt = VICUNA


class TestOnNeoX(LightProof):
    """vLLM's transformers backend, tensors below `gpt_neox.`."""

    checkpoint = "llava-neox"
    context = 1024
    prompt = VICUNA
