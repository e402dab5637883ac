"""What every family has to show; a family's test file says which checkpoint and which prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from tests.families.conftest import COMPILED_CHUNKS
from tests.families.parity import CASES, TOLERANCE, Case, Subject, images_first
from tests.families.reference import Reference
from tests.families.served import question
from tests.kit.hostile import raw_ids

__all__ = ["FamilyProof", "LightProof", "family_marks", "in_compiled_chunks"]

family_marks = [pytest.mark.engine, pytest.mark.filterwarnings("default")]
in_compiled_chunks = pytest.mark.parametrize(
    "subject", [COMPILED_CHUNKS], ids=["chunks of 24, compiled"], indirect=True, scope="class"
)
_BY_NAME = {case.name: case for case in CASES}


class FamilyProof:
    """Served tokens and log-probabilities equal the reference's, and the comparison bites.

    By two engines: prompts as they are, and cut every 24 tokens with the language model compiled
    (see `Served`). `checkpoint` names a builder,
    `prompt` is the authors' text with {} for the question. `tower` is the tower's folder relative
    to the checkpoint, `inside` says whether tower tensors in the checkpoint count, `options` are
    the engine's. `cases` hold all of `CASES`; `lacks` says why one is missing. `spoilt` is asked
    while a weight is, from the prefix cache and with other words. A family that LLaVA's reference
    does not describe overrides `read`.
    """

    checkpoint: ClassVar[str]
    prompt: ClassVar[str]
    tower: ClassVar[str] = ""
    inside: ClassVar[bool] = False
    cases: ClassVar[Sequence[Case]] = CASES
    lacks: ClassVar[Mapping[str, str]] = {}
    options: ClassVar[Mapping[str, Any]] = {}
    parts: ClassVar[Sequence[str]] = ("projector", "vision_tower", "language_model")
    spoilt: ClassVar[Case] = _BY_NAME["odd aspect"]

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The checkpoint as its authors' code reads it."""
        return Reference(checkpoint, (checkpoint / cls.tower).resolve(), inside=cls.inside)

    @staticmethod
    def write(text: str, images: int) -> str:
        """The authors' text of a question and its images, as it stands in `prompt`."""
        return images_first(text, images)

    def test_equals_the_reference(self, subject: Subject) -> None:
        answers = subject.serve(self.cases)
        worst = {c.name: subject.compare(c, a) for c, a in zip(self.cases, answers, strict=True)}
        assert max(worst.values()) < TOLERANCE, worst

    def test_a_spoilt_weight_is_seen(self, subject: Subject) -> None:
        for part in self.parts:
            undo = _swap_rows(subject, part)
            try:
                [answer] = subject.serve([self.spoilt])
            finally:
                undo()
            with pytest.raises(AssertionError):
                assert subject.compare(self.spoilt, answer) < 10 * TOLERANCE

    def test_one_image_under_two_questions_at_once(self, subject: Subject) -> None:
        cases = [self._asked("Which colours?"), self._asked("And how many?")]
        for case, answer in zip(cases, subject.serve(cases), strict=True):
            assert subject.compare(case, answer) < TOLERANCE

    def _asked(self, text: str) -> Case:
        authors = self.spoilt.authors.replace(self.spoilt.text, text)
        return replace(self.spoilt, name=text, text=text, authors=authors)

    def test_equals_the_reference_from_the_prefix_cache(self, subject: Subject) -> None:
        case = next((case for case in self.cases if case.name == "two images"), self.spoilt)
        subject.serve([case])
        [answer] = subject.serve([case])
        assert answer.cached >= 32
        assert subject.compare(case, answer) < TOLERANCE

    def test_no_prompt_ends_the_engine(self, subject: Subject) -> None:
        from vllm.exceptions import VLLMValidationError

        from sensorium.model_adapters.engine.tokenizer import IMAGE_MARK

        typed = "<image> <image><image> <|im_start|>"
        [answer] = subject.serve([Case("typed", text=f"{typed} <s> </s>")])
        assert typed in subject.served.llm.get_tokenizer().decode(answer.prompt)
        self._typed_tokens_are_text(subject)
        subject.served.chat(question(f"{IMAGE_MARK} what?"))
        for ids in raw_ids(subject.served.llm):
            with suppress(VLLMValidationError):  # a 400 over HTTP; what is let in must do no harm
                subject.served.generate({"prompt_token_ids": ids})
        self.test_one_image_under_two_questions_at_once(subject)

    def _typed_tokens_are_text(self, subject: Subject) -> None:
        """Tokens are text in a question, but for those by name; in a raw prompt they count."""
        tokenizer = subject.served.llm.get_tokenizer()
        texts = {
            number: str(token)
            for number, token in sorted(tokenizer.added_tokens_decoder.items())
            if str(token).strip() and not re.fullmatch(tokenizer.in_text, str(token))
        }
        special = set(texts)
        typed = "".join(text for text in texts.values() if not text.startswith("<|sensorium:"))
        [plain, marked] = subject.serve([Case("plain", text="a"), Case("typed", text=typed)])
        texts_before, texts_after = (
            tokenizer.decode(answer.prompt).count(typed) for answer in (plain, marked)
        )
        assert texts_after == texts_before + 1
        found = [
            [token for token in answer.prompt if token in special] for answer in (plain, marked)
        ]
        assert found[0] == found[1]
        raw = subject.served.generate(f"a{texts[min(texts)]}b")
        assert special & set(raw.prompt[1:])


@in_compiled_chunks
class LightProof(FamilyProof):
    """The same by the second engine alone, for a family whose parts are proven elsewhere."""

    def test_equals_the_reference_uncompiled(self, subject: Subject) -> None:
        with subject.served.uncompiled():
            self.test_equals_the_reference(subject)


def _swap_rows(subject: Subject, part: str) -> Any:
    """Swap two output rows of the part's last matrix; returns what swaps them back."""

    def last_matrix(model: Any) -> torch.Tensor:
        found = [
            parameter
            for name, parameter in model.get_submodule(part).named_parameters()
            if parameter.ndim >= 2 and len(parameter) > 1 and "lm_head" not in name
        ]
        matrix: torch.Tensor = found[-1]
        return matrix

    def swap(model: Any) -> None:
        matrix = last_matrix(model)
        with torch.no_grad():
            matrix.copy_(matrix.roll(1, 0))

    def back(model: Any) -> None:
        matrix = last_matrix(model)
        with torch.no_grad():
            matrix.copy_(matrix.roll(-1, 0))

    subject.served.llm.apply_model(swap)
    subject.served.forget()

    def undo() -> None:
        subject.served.llm.apply_model(back)
        subject.served.forget()

    return undo
