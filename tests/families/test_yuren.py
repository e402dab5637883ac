"""yuren equals its authors' code, where a user names it; conversation of its web page."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sensorium.model_adapters.prompts import YUREN
from tests.families.checkpoints import BUILDERS
from tests.families.proof import LightProof, family_marks
from tests.families.reference import Reference
from tests.families.slow_tokenizer import SlowTokenizer
from tests.families.test_bad_checkpoints import refusal

pytestmark = family_marks
# As apps/webui/src/webui/utils.py writes it, the date left out.
PROMPT = (
    f"<|im_start|>system\n{YUREN.system}\n    <|im_end|>\n<|im_start|>user\n{{}}<|im_end|>\n"
    "<|im_start|>assistant\n"
)


class YurenReference(Reference):
    """`MultimodalLlamaModel`: the last layer unless the config says otherwise."""

    def __init__(self, checkpoint: Path, tower: Path) -> None:
        super().__init__(checkpoint, tower, inside=False)
        self.slow = SlowTokenizer(checkpoint)
        self.raw.setdefault("mm_vision_select_layer", -1)

    def language_model(self, state: dict[str, Any]) -> Any:
        """The whole vocabulary."""
        model = super().language_model(state)
        model.resize_token_embeddings = lambda rows: None
        return model

    def pieces(self, prompt: str) -> list[list[int]]:
        """Ids of the text around each image."""
        return self.slow.pieces(prompt)


class TestYuren(LightProof):
    """The image after the question, ChatML, and rows beyond the tokenizer's."""

    checkpoint = "yuren"
    prompt = PROMPT
    options = {  # noqa: RUF012
        "hf_overrides": {"sensorium_family": "yuren"},
        "max_model_len": 2048,
    }

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """As load_tokenizer_image_processor_and_model."""
        return YurenReference(checkpoint, checkpoint.with_name("CLIP-ViT-tiny-DataComp"))

    @staticmethod
    def write(text: str, images: int) -> str:
        """As apps/webui/src/webui/app.py."""
        return text + "\n<|img_start|><image><|img_end|>" * images


def test_it_is_not_served_unasked(folder: Path, tmp_path: Path) -> None:
    if not (folder / "yuren").exists():
        (folder / "yuren").mkdir()
        BUILDERS["yuren"](folder / "yuren")
    checkpoint = Path(shutil.copytree(folder / "yuren", tmp_path / "yuren"))
    message = refusal(checkpoint)
    assert "unconfirmed" in message
    assert "--family yuren" in message
