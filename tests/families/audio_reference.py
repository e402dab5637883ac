"""transformers' own classes, asked token by token in float32: what served answers must equal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["RATE", "AudioReference", "Sound"]

Sound = npt.NDArray[np.float32]
RATE = 16_000


class AudioReference:
    """A checkpoint read by transformers: its processor and its class `kind`."""

    def __init__(self, folder: Path, kind: str, **options: Any) -> None:
        import transformers

        self.processor = transformers.AutoProcessor.from_pretrained(folder)
        self.model = getattr(transformers, kind).from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        )
        self.model.eval()
        self.options = options

    def inputs(self, text: str, sounds: Sequence[Sound]) -> Any:
        """The model's inputs for one user turn: the sounds, then the text."""
        content = [{"type": "audio", "audio_url": "it"} for _ in sounds]
        turn = {"role": "user", "content": [*content, {"type": "text", "text": text}]}
        prompt = self.processor.apply_chat_template(
            [turn], tokenize=False, add_generation_prompt=True
        )
        options = {**self.options, "sampling_rate": RATE} if sounds else {}
        return self.processor(
            text=[prompt], audio=[*sounds] or None, return_tensors="pt", **options
        )

    def answer(
        self, text: str, sounds: Sequence[Sound], tokens: int = 16
    ) -> tuple[list[int], list[int], torch.Tensor]:
        """Ids of prompt and answer, and `[tokens, vocabulary]` log-probabilities."""
        inputs = self.inputs(text, sounds)
        with torch.inference_mode():
            out = self.model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=tokens,
                return_dict_in_generate=True,
                output_logits=True,
            )
        prompt = inputs["input_ids"][0].tolist()
        rows = torch.stack(out.logits, dim=1)[0].float().log_softmax(-1)
        return prompt, out.sequences[0, len(prompt) :].tolist(), rows
