"""Yi's tokenizer as transformers 4.37 read it, with the slow `LlamaTokenizer`.

Source: huggingface/transformers v4.37, tokenization_utils.py (`tokenize`: the text is cut at added
tokens) and models/llama/tokenization_llama.py (`legacy`: each stretch goes to sentencepiece).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.families.next_reference import NextReference

__all__ = ["YiReference"]


class YiReference(NextReference):
    """LLaVA-1.6 34b; `<|im_end|>` is the only added token of its ChatML."""

    def __init__(self, checkpoint: Path, tower: Path, **options: Any) -> None:
        from sentencepiece import SentencePieceProcessor

        super().__init__(checkpoint, tower, **options)
        self.sentencepiece = SentencePieceProcessor(model_file=str(checkpoint / "tokenizer.model"))

    def pieces(self, prompt: str) -> list[list[int]]:
        """`tokenizer_image_token`; there is no BOS."""
        found = []
        for chunk in prompt.split("<image>"):
            ids: list[int] = []
            for part in re.split(r"(<\|im_end\|>)", chunk):
                if part == "<|im_end|>":
                    ids.append(self.sentencepiece.piece_to_id(part))
                elif part:
                    ids += self.sentencepiece.encode(part)
            found.append(ids)
        return found
