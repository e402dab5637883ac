"""Families that Sensorium composes, over HTTP: one with two towers, one that is chosen by name."""

from __future__ import annotations

import openai
import pytest

from tests.engine.conftest import COMPOSED, NAMED
from tests.families import test_video_llava as proof
from tests.families import test_yuren as named
from tests.families.parity import CASES, Case
from tests.families.served import question
from tests.families.video_llava_reference import VideoLlavaReference
from tests.kit.live_server import LiveServer

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def reference(server: LiveServer) -> VideoLlavaReference:
    return VideoLlavaReference(server.log.parent / COMPOSED)


@pytest.mark.parametrize(
    "case", [*CASES[:3], *proof.TestVideoLlava.cases[-4:]], ids=lambda case: str(case.name)
)
def test_answers_as_the_authors_code(
    case: Case, demo_client: openai.OpenAI, reference: VideoLlavaReference
) -> None:
    written = proof.TestVideoLlava.write(case.authors or case.text, len(case.media))
    prompt = proof.LLAVA_V1.format(written)
    tokens, _ = reference.answer(prompt, case.media)
    assert ask(demo_client, COMPOSED, case) == (
        tokens,
        reference.prompt_length(prompt, case.media),
    )


def ask(client: openai.OpenAI, model: str, case: Case) -> tuple[list[int], int]:
    """The greedy answer's tokens, and how many the prompt has."""
    answer = client.chat.completions.create(
        model=model,
        messages=question(case.text, case.images, case.videos),  # type: ignore[arg-type]
        temperature=0,
        max_tokens=16,
        extra_body={"return_token_ids": True},
    )
    assert answer.usage is not None
    tokens: list[int] = (answer.choices[0].model_extra or {})["token_ids"]
    return tokens, answer.usage.prompt_tokens


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: str(case.name))
def test_a_family_chosen_by_name_answers_as_the_authors_code(
    case: Case, demo_client: openai.OpenAI, server: LiveServer
) -> None:
    reference = named.TestYuren.read(server.log.parent / NAMED)
    prompt = named.PROMPT.format(named.TestYuren.write(case.text, len(case.images)))
    tokens, _ = reference.answer(prompt, case.images)
    assert ask(demo_client, NAMED, case) == (tokens, reference.prompt_length(prompt, case.images))


def test_a_video_that_cannot_be_read_is_named(demo_client: openai.OpenAI) -> None:
    [turn] = question("Why?", videos=(proof.BOTH.videos[0][:100],))
    with pytest.raises(openai.BadRequestError, match="video") as refused:
        demo_client.chat.completions.create(model=COMPOSED, messages=[turn])  # type: ignore[list-item]
    assert refused.value.param == "messages.0.content.0.video_url.url"
