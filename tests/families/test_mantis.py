"""Mantis equals its authors' code; conversation: `mantis`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests.families.proof import FamilyProof, family_marks
from tests.families.reference import (
    Reference,
    State,
    load_vision,
    read_all,
    read_image_processor,
    read_tokenizer,
)

pytestmark = family_marks
HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"


class MantisReference(Reference):
    """From TIGER-AI-Lab/Mantis, mantis/models/mllava/modeling_llava.py."""

    def __init__(self, checkpoint: Path, tower: Path) -> None:
        import transformers

        config: dict[str, Any] = json.loads((checkpoint / "config.json").read_text())
        state = read_all(checkpoint)
        text = config["text_config"]
        self.tokenizer = read_tokenizer(checkpoint)
        # `chat_mllava` ends an answer at this token too.
        end = self.tokenizer.convert_tokens_to_ids("<|eot_id|>")
        self.raw = {"eos_token_id": end, "mm_projector_type": "mlp2x_gelu"}
        settings = transformers.LlamaConfig(**text, attn_implementation="eager")
        self.lm = transformers.LlamaForCausalLM(settings).eval()
        self.lm.load_state_dict(_part(state, "language_model."))
        vision = transformers.SiglipVisionConfig(
            **config["vision_config"], attn_implementation="eager"
        )
        self.tower = transformers.SiglipVisionModel(vision).eval()
        load_vision(self.tower, _part(state, "vision_tower."))
        self.processor = read_image_processor(tower, siglip=True)
        self.projector = {
            name.replace("linear_1", "0").replace("linear_2", "2"): value
            for name, value in _part(state, "multi_modal_projector.").items()
        }
        self.newline = None

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """`vision_feature_select_strategy` "default" of layer -2."""
        features: torch.Tensor = self.tower(pixels, output_hidden_states=True).hidden_states[-2]
        return features[:, 1:]


def _part(state: State, prefix: str) -> State:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


class TestSiglip(FamilyProof):
    """SigLIP without its first patch; images are numbered."""

    checkpoint = "mantis-siglip"
    tower = "../siglip-tiny-501"
    prompt = (
        f"{HEADER.format('system')}You are a pirate chatbot who always responds in pirate speak!"
        f"<|eot_id|>{HEADER.format('user')}{{}}<|eot_id|>{HEADER.format('assistant')}"
    )

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The checkpoint as the authors read it."""
        return MantisReference(checkpoint, (checkpoint / cls.tower).resolve())

    @staticmethod
    def write(text: str, images: int) -> str:
        """As MLlavaProcessor rewrites the README's `<image> <image> ...`."""
        marks = (f"(image {n}: <Image><image></Image>) " for n in range(1, images + 1))
        return "".join(marks) + text
