"""LLaVA v1 and v1.5 equal their authors' code; conversation: `conv_vicuna_v1`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.families.checkpoints import BUILDERS
from tests.families.parity import CASES, TOLERANCE, Subject
from tests.families.proof import FamilyProof, family_marks
from tests.families.reference import Reference

pytestmark = family_marks
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: {} ASSISTANT:"
)


def another_layer(reference: Reference, patch: pytest.MonkeyPatch) -> None:
    patch.setitem(reference.raw, "mm_vision_select_layer", -1)


def another_pad_colour(reference: Reference, patch: pytest.MonkeyPatch) -> None:
    """Rounded instead of truncated: 123, 117, 104."""
    patch.setattr(Reference, "pad_colour", lambda self: (123, 117, 104))


def no_bos(reference: Reference, patch: pytest.MonkeyPatch) -> None:
    pieces = reference.pieces
    patch.setattr(reference, "pieces", lambda prompt: [pieces(prompt)[0][1:], *pieces(prompt)[1:]])


def one_text(reference: Reference, patch: pytest.MonkeyPatch) -> None:
    """`<image>` as a special token inside one text: no space before what follows it."""

    def pieces(prompt: str) -> list[list[int]]:
        ids = reference.tokenizer(prompt.replace("<image>", "<unk>")).input_ids
        at = ids.index(reference.tokenizer.unk_token_id)
        return [ids[:at], ids[at + 1 :]]

    patch.setattr(reference, "pieces", pieces)


class TestV1(FamilyProof):
    """A linear projector and centre crop, said by absent keys; BOS; old `inv_freq` tensors."""

    checkpoint = "llava-v1"
    tower = "../clip-tiny-v1"
    prompt = VICUNA


class TestV11(FamilyProof):
    """Each image between <im_start> and <im_end>, tokens that the loader adds."""

    checkpoint = "llava-v1.1"
    tower = "../clip-tiny-v1-1"
    prompt = VICUNA

    @staticmethod
    def write(text: str, images: int) -> str:
        """As llava/eval/run_llava.py."""
        return "<im_start><image><im_end>\n" * images + text


class TestV15(FamilyProof):
    """The tower in a repository of its own."""

    checkpoint = "llava-v1.5"
    tower = "../clip-tiny-v15"
    prompt = VICUNA

    @pytest.mark.parametrize("slip", [another_layer, another_pad_colour, no_bos, one_text])
    def test_a_slip_is_seen(
        self,
        subject: Subject,
        slip: Callable[[Reference, pytest.MonkeyPatch], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        case = CASES[1]
        [answer] = subject.serve([case])
        assert subject.compare(case, answer) < TOLERANCE
        slip(subject.reference, monkeypatch)
        with pytest.raises(AssertionError):
            assert subject.compare(case, answer, anew=True) < 10 * TOLERANCE


@pytest.mark.parametrize(
    ("options", "file", "temperature"),
    [
        ({}, None, 0.2),
        ({}, {"temperature": 0.9}, 0.9),
        ({"override_generation_config": {"temperature": 0.5}}, {"temperature": 0.9}, 0.5),
        ({"generation_config": "vllm"}, None, None),
    ],
)
def test_sampling_is_the_authors_unless_said(
    folder: Path, tmp_path: Path, options: Any, file: Any, temperature: float | None
) -> None:
    from vllm.engine.arg_utils import EngineArgs

    good = folder / "llava-inside"
    if not good.exists():
        good.mkdir()
        BUILDERS["llava-inside"](good)
    checkpoint = Path(shutil.copytree(good, tmp_path / "llava"))
    if file is not None:
        (checkpoint / "generation_config.json").write_text(json.dumps(file))
    config = EngineArgs(model=str(checkpoint), **options).create_model_config()
    assert config.get_diff_sampling_param().get("temperature") == temperature


class TestTowerInside(FamilyProof):
    """A fine-tune under a name nobody knows, with its tower in the checkpoint."""

    checkpoint = "llava-inside"
    tower = "clip-tiny-inside"
    prompt = VICUNA
    inside = True
