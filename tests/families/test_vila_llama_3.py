"""VILA-1.5 on Llama-3 equals its authors' code; conversation: `vila_llama_3`."""

from __future__ import annotations

from tests.families.parity import Subject
from tests.families.proof import LightProof, family_marks
from tests.families.test_vila import VilaRead

pytestmark = family_marks


class TestLlama3(VilaRead, LightProof):
    """Two BOS tokens: the authors' text has one, and their tokenizer adds another."""

    checkpoint = "vila-llama-3"
    prompt = (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are a helpful language "
        "and vision assistant. You are able to understand the visual content that the user "
        "provides, and assist the user with a variety of tasks using natural language.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )

    def test_answers_end_at_every_end_token(self, subject: Subject) -> None:
        from vllm import SamplingParams

        llm = subject.served.llm
        turn = llm.get_tokenizer().convert_tokens_to_ids("<|eot_id|>")
        for end in (0, 9, turn):
            forced = SamplingParams(temperature=0, max_tokens=8, logit_bias={end: 100.0})
            [output] = llm.generate("Hello", forced, use_tqdm=False)
            assert list(output.outputs[0].token_ids) == [end]
