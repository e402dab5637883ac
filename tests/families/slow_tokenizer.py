"""How the Llama tokenizers of transformers before 4.34 cut a prompt.

Source: huggingface/transformers v4.29, tokenization_utils.py (`PreTrainedTokenizer.tokenize`):
tokens that were added as plain strings lose the whitespace on both of their sides. The fast one
keeps it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import sentencepiece

__all__ = ["SlowTokenizer"]


class SlowTokenizer:
    """A folder's sentencepiece model and its added tokens; `strips` as the slow one does."""

    def __init__(self, folder: Path, *, strips: bool = True) -> None:
        self.strips = strips
        self.model = sentencepiece.SentencePieceProcessor(
            model_file=str(folder / "tokenizer.model")
        )
        self.added: dict[str, int] = json.loads((folder / "added_tokens.json").read_text())
        self.added["</s>"] = self.model.eos_id()

    def pieces(self, prompt: str) -> list[list[int]]:
        """Ids of the text around each `<image>`, which is an added token like the others."""
        names = (*self.added, "<image>")
        parts = re.split(f"({'|'.join(map(re.escape, names))})", prompt)
        found = [[self.model.bos_id()]]
        for index, part in enumerate(parts):
            if part == "<image>":
                found.append([])
            elif index % 2:
                found[-1].append(self.added[part])
            else:
                text = part.lstrip() if index and self.strips else part
                text = text.rstrip() if index < len(parts) - 1 and self.strips else text
                found[-1] += self.model.encode(text) if text else []
        return found
