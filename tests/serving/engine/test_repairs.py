"""vLLM's faults that our server mends, and that they are still there to be mended."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]


def spaced_tokenizer() -> Any:
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({"<unk>": 0, "▁one": 1, "▁two": 2}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def test_a_row_that_no_token_has_gets_an_empty_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.tokenizers import detokenizer_utils

    from sensorium.serving.engine.repairs import name_rows_without_tokens

    theirs = detokenizer_utils._restore_leading_spaces
    monkeypatch.setattr(detokenizer_utils, "_restore_leading_spaces", theirs)
    tokenizer = spaced_tokenizer()
    with pytest.raises(TypeError):
        detokenizer_utils.convert_ids_list_to_tokens(tokenizer, [1, 7])
    name_rows_without_tokens()
    found = detokenizer_utils.convert_ids_list_to_tokens(tokenizer, [1, 7, 2])
    assert found == [" one", "", " two"]
