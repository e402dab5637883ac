"""Qwen-VL-Chat equals its authors' code: visual.py, modeling_qwen.py, tokenization_qwen.py."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.nn import functional

from tests.families.legacy_reference import QwenReference
from tests.families.legacy_tokenizers import encode_qwen
from tests.families.parity import CASES, Subject
from tests.families.proof import FamilyProof, family_marks
from tests.families.reference import Reference
from tests.families.served import question

pytestmark = family_marks
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


PROMPT = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{}<|im_end|>"
    "\n<|im_start|>assistant\n"
)
# Ids of the tiny vocabulary: 556 words, 208 tokens of Qwen's, six tags, then these.
OPEN, CLOSE, ENDS = 770, 771, (556, 557, 558)


class QwenVlReference(Reference):
    """`QWenModel.forward` with the pictures' features between `<img>` and `</img>`."""

    def __init__(self, checkpoint: Path) -> None:
        self.folder = checkpoint
        self.language = QwenReference(checkpoint)
        self.state = self.language.state

    def pieces(self, prompt: str) -> list[list[int]]:
        """Ids around each picture, the tags included."""
        found = []
        for piece in prompt.split("\x00"):
            closed = piece.startswith("</img>")
            opened = piece.endswith("<img>")
            ids = encode_qwen(self.folder, piece.removeprefix("</img>").removesuffix("<img>"))
            found.append([CLOSE] * closed + ids + [OPEN] * opened)
        return found

    @torch.inference_mode()
    def answer(
        self, prompt: str, images: Sequence[bytes] = (), tokens: int = 16
    ) -> tuple[list[int], torch.Tensor]:
        """Greedy tokens and their log-probabilities."""
        table = self.state["transformer.wte.weight"]
        features = self.features_of(images)
        parts = []
        for index, ids in enumerate(self.pieces(prompt)):
            parts += [features[index - 1]] if index else []
            parts.append(table[torch.tensor(ids, dtype=torch.long)])
        sequence, chosen, rows = torch.cat(parts), list[int](), []
        for _ in range(tokens):
            rows.append(torch.log_softmax(self.language.from_embeddings(sequence), -1))
            chosen.append(int(rows[-1].argmax()))
            if chosen[-1] in ENDS:
                break
            sequence = torch.cat([sequence, table[chosen[-1:]]])
        return chosen, torch.stack(rows)

    def _features(self, image: bytes) -> torch.Tensor:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")
        levels = np.asarray(picture.resize((56, 56), Image.Resampling.BICUBIC))
        pixels = torch.from_numpy(levels.astype(np.float32) / 255) - torch.tensor(MEAN)
        x = (pixels / torch.tensor(STD)).permute(2, 0, 1)[None]
        x = functional.conv2d(x, self._of("conv1.weight"), stride=14)[0].flatten(1).T
        x = self._norm("ln_pre", x + _resized(self._of("positional_embedding"), len(x)))
        for layer in range(2):
            at = f"transformer.resblocks.{layer}"
            mixed = self._linear(f"{at}.attn.in_proj", self._norm(f"{at}.ln_1", x))
            q, k, v = mixed.view(len(x), 2, -1).transpose(0, 1).chunk(3, -1)
            out = ((q @ k.mT) / q.shape[-1] ** 0.5).softmax(-1) @ v
            x = x + self._linear(f"{at}.attn.out_proj", out.transpose(0, 1).flatten(1))
            inner = functional.gelu(self._linear(f"{at}.mlp.c_fc", self._norm(f"{at}.ln_2", x)))
            x = x + self._linear(f"{at}.mlp.c_proj", inner)
        return self._norm("ln_post", self._pooled(x)) @ self._of("proj")

    def _pooled(self, x: torch.Tensor) -> torch.Tensor:
        """`Resampler`, on torch's own attention."""
        x = self._norm("attn_pool.ln_kv", x @ self._of("attn_pool.kv_proj.weight").T)
        places = self._of("attn_pool.pos_embed")
        width = x.shape[-1]
        attention = torch.nn.MultiheadAttention(width, width // 128)
        prefix = "transformer.visual.attn_pool.attn."
        own = {n.removeprefix(prefix): t for n, t in self.state.items() if n.startswith(prefix)}
        attention.load_state_dict(own)
        queries = self._norm("attn_pool.ln_q", self._of("attn_pool.query")) + places
        pooled: torch.Tensor = attention(queries, x + _resized(places, len(x)), x)[0]
        return pooled

    def _of(self, name: str) -> torch.Tensor:
        return self.state[f"transformer.visual.{name}"]

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self._of(f"{name}.weight"), self._of(f"{name}.bias"))

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self._of(f"{name}.weight"), self._of(f"{name}.bias")
        return functional.layer_norm(x, weight.shape, weight, bias, 1e-6)


def _resized(table: torch.Tensor, rows: int) -> torch.Tensor:
    """`get_abs_pos`."""
    old, new = int(len(table) ** 0.5), int(rows**0.5)
    grid = table.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    wanted = functional.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False)
    return wanted.permute(0, 2, 3, 1).flatten(0, 2)


class TestQwenVl(FamilyProof):
    """256 tokens a picture, numbered; positions resized; Qwen-1 below."""

    checkpoint = "qwen-vl-chat"
    prompt = PROMPT
    options = {"max_model_len": 4096}  # noqa: RUF012

    @staticmethod
    def write(text: str, images: int) -> str:
        """`from_list_format`."""
        numbers = range(1, images + 1)
        return "".join(f"Picture {n}: <img>\x00</img>\n" for n in numbers) + text

    @classmethod
    def read(cls, checkpoint: Path) -> Any:
        """The authors' code."""
        return QwenVlReference(checkpoint)

    def test_a_picture_after_and_between_texts(self, subject: Subject) -> None:
        """`from_list_format` writes a list's elements in their order."""
        [image] = CASES[1].images
        picture = question("", (image,))[0]["content"][0]
        first, second = ({"type": "text", "text": text} for text in ("Who?", "And who?"))
        shown = "Picture {}: <img>\x00</img>\n"
        for parts, written in (
            ([first, picture], f"Who?{shown.format(1)}"),
            ([first, picture, second, picture], f"Who?{shown.format(1)}And who?{shown.format(2)}"),
        ):
            [answer] = subject.served.chat([{"role": "user", "content": parts}], tokens=1)
            prompt = self.prompt.format(written)
            images = (image,) * prompt.count("\x00")
            pieces = subject.reference.pieces(prompt)
            assert answer.prompt[: len(pieces[0])] == pieces[0]
            assert answer.prompt[-len(pieces[-1]) :] == pieces[-1]
            assert answer.tokens == subject.reference.answer(prompt, images, tokens=1)[0]

    @pytest.mark.parametrize("end", ENDS)
    def test_each_of_the_authors_ends_is_one(self, subject: Subject, end: int) -> None:
        """`get_stop_words_ids` names two, the generation config the third."""
        answer = subject.served.generate("Who are you?", logit_bias={end: 100.0})
        assert answer.tokens == [end]
