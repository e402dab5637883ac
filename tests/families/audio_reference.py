"""transformers' own classes, asked token by token in float32: what served answers must equal."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["RATE", "AudioReference", "Sound", "VoxtralReference", "greedy", "wav"]

Sound = npt.NDArray[np.float32]
RATE = 16_000


class AudioReference:
    """A checkpoint read by transformers: its processor and its class `kind`.

    A sound is filled with silence to a `multiple` of samples, where vLLM does so.
    """

    def __init__(self, folder: Path, kind: str, multiple: int = 1) -> None:
        import transformers

        self.processor = transformers.AutoProcessor.from_pretrained(folder)
        self.model = getattr(transformers, kind).from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        )
        self.model.eval()
        self.multiple = multiple
        self.takes_rate = kind != "GraniteSpeechForConditionalGeneration"

    def inputs(self, text: str, sounds: Sequence[Sound]) -> Any:
        """The model's inputs for one user turn: the sounds, then the text."""
        content = [{"type": "audio", "audio_url": "it"} for _ in sounds]
        turn = {"role": "user", "content": [*content, {"type": "text", "text": text}]}
        prompt = self.processor.apply_chat_template(
            [turn], tokenize=False, add_generation_prompt=True
        )
        options = {"sampling_rate": RATE} if sounds and self.takes_rate else {}
        sounds = [np.pad(samples, (0, -len(samples) % self.multiple)) for samples in sounds]
        return self.processor(text=[prompt], audio=sounds or None, return_tensors="pt", **options)

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


class VoxtralReference(AudioReference):
    """transformers' Voxtral, with mistral-common's tokenizer as in the checkpoint."""

    def __init__(self, folder: Path) -> None:
        import transformers
        from transformers.tokenization_mistral_common import MistralCommonBackend

        theirs = folder / "transformers"
        config = transformers.VoxtralConfig.from_pretrained(theirs)
        config._attn_implementation = "eager"
        self.model = transformers.VoxtralForConditionalGeneration(config).eval()
        self.model.load_state_dict(torch.load(theirs / "state.pt", weights_only=True))
        self.model.generation_config.eos_token_id = 2
        self.model.generation_config.pad_token_id = 11
        self.processor = transformers.VoxtralProcessor(
            transformers.WhisperFeatureExtractor(feature_size=128),
            MistralCommonBackend.from_pretrained(folder),
        )

    def inputs(self, text: str, sounds: Sequence[Sound]) -> Any:
        """The model's inputs for one user turn: the sounds, then the text."""
        parts = [
            {"type": "audio", "base64": base64.b64encode(wav(samples)).decode()}
            for samples in sounds
        ]
        turn = {"role": "user", "content": [*parts, {"type": "text", "text": text}]}
        return self.processor.apply_chat_template([turn], tokenize=True, return_dict=True)


def greedy(
    language: Any, embeds: torch.Tensor, end: int, tokens: int
) -> tuple[list[int], torch.Tensor]:
    """The answer of a language model of transformers to embeddings `[1, length, hidden]`.

    Its ids, up to `end`, and `[tokens, vocabulary]` log-probabilities.
    """
    out = language.generate(
        inputs_embeds=embeds,
        do_sample=False,
        max_new_tokens=tokens,
        return_dict_in_generate=True,
        output_logits=True,
        eos_token_id=end,
        pad_token_id=end,
    )
    rows = torch.stack(out.logits, dim=1)[0].float().log_softmax(-1)
    return out.sequences[0].tolist(), rows


def wav(samples: Sound) -> bytes:
    """A WAV file with these very samples."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="WAV", subtype="FLOAT")
    return buffer.getvalue()
