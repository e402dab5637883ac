"""Deltas, LoRAs and projectors alone give what their authors' scripts make of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorium.model_adapters.folders import BASE_MODEL
from tests.families.checkpoints import BUILDERS
from tests.families.merged_reference import applied_delta, merged_lora, with_projector
from tests.families.proof import FamilyProof, LightProof, family_marks
from tests.families.reference import Reference
from tests.families.test_bad_checkpoints import refusal
from tests.families.test_llava import VICUNA

pytestmark = family_marks


class TestDelta(LightProof):
    """A delta whose tables are longer than the base model's; tokens around images."""

    checkpoint = "llava-delta-v1"
    prompt = VICUNA.replace("curious user", "curious human").replace("user's", "human's")

    @staticmethod
    def write(text: str, images: int) -> str:
        """As llava/eval/run_llava.py."""
        return "<im_start><image><im_end>\n" * images + text

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The delta applied."""
        whole = applied_delta(checkpoint, checkpoint.with_name("llama-tiny"))
        return Reference(whole, checkpoint.with_name("clip-tiny-delta"), inside=False)


class TestLora(FamilyProof):
    """LLaVA-1.5-lora: matrices for every linear layer, the projector beside them."""

    checkpoint = "llava-lora"
    prompt = VICUNA

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The LoRA merged."""
        whole = merged_lora(checkpoint, checkpoint.with_name("vicuna-tiny"))
        return Reference(whole, checkpoint.with_name("clip-tiny-lora"), inside=False)


class TestProjector(LightProof):
    """A projector alone."""

    checkpoint = "llava-projector"
    prompt = VICUNA

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The projector in its model."""
        whole = with_projector(checkpoint, checkpoint.with_name("vicuna-tiny-v2"))
        return Reference(whole, checkpoint.with_name("clip-tiny-projector"), inside=False)


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copies a checkpoint and its base model, and changes the copy."""

    def make(name: str, *beside: str) -> Path:
        if not (folder / name).exists():
            (folder / name).mkdir()
            BUILDERS[name](folder / name)
        for other in (name, *beside):
            shutil.copytree(folder / other, tmp_path / other)
        return tmp_path / name

    return make


def change(file: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = torch.load(file, weights_only=True)
    edit(state)
    torch.save(state, file)


KEY = "base_model.model.model.layers.1.mlp.up_proj.lora_{}.weight"


def rename(state: dict[str, torch.Tensor]) -> None:
    for matrix in "AB":
        state[KEY.format(matrix).replace("up_proj", "side_proj")] = state.pop(KEY.format(matrix))


class TestRefusals:
    """Each names what is wrong, before anything is served."""

    @pytest.mark.parametrize(
        ("edit", "words"),
        [
            (rename, ("side_proj", "vicuna-tiny")),
            (lambda state: state.pop(KEY.format("B")), ("up_proj", "only its matrix A")),
            (
                lambda state: state.update({KEY.format("A"): torch.zeros(4, 9)}),
                ("up_proj", "[4, 9]"),
            ),
        ],
    )
    def test_a_lora_that_does_not_fit(
        self, broken: Callable[..., Path], edit: Any, words: tuple[str, ...]
    ) -> None:
        checkpoint = broken("llava-lora", "vicuna-tiny", "clip-tiny-lora")
        change(checkpoint / "adapter_model.bin", edit)
        message = refusal(checkpoint)
        assert all(word in message for word in words), message

    @pytest.mark.parametrize(
        ("key", "value"), [("use_dora", True), ("r", 0), ("peft_type", "IA3"), ("lora_alpha", "x")]
    )
    def test_an_adapter_of_another_form(
        self, broken: Callable[..., Path], key: str, value: Any
    ) -> None:
        checkpoint = broken("llava-lora", "vicuna-tiny", "clip-tiny-lora")
        file = checkpoint / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
        assert key in refusal(checkpoint)

    def test_the_base_model_is_not_there(
        self, broken: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checkpoint = broken("llava-lora", "clip-tiny-lora")
        message = refusal(checkpoint)
        assert "lmsys/vicuna-tiny" in message
        assert "--base-model" in message
        monkeypatch.setenv(BASE_MODEL, f"{checkpoint.name}={checkpoint}/nowhere")
        assert "nowhere" in refusal(checkpoint)

    def test_a_delta_to_a_model_of_another_width(self, broken: Callable[..., Path]) -> None:
        checkpoint = broken("llava-delta-v1", "llama-tiny", "clip-tiny-delta")
        base = checkpoint.with_name("llama-tiny")
        state = {"model.norm.weight": torch.zeros(64)}
        torch.save(state, base / "pytorch_model.bin")
        (base / "model.safetensors").unlink()
        message = refusal(checkpoint)
        assert "llama-tiny" in message
        assert "does not have" in message or "[64]" in message
