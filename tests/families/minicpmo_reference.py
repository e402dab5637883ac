"""MiniCPM-o 2.6's hearing in plain torch over the layers of transformers' Whisper and Qwen2.

Written from OpenBMB/MiniCPM-o, `modeling_minicpmo.py` (`get_audio_embedding`) and
`processing_minicpmo.py`. A frame attends to its own second of sound and those before it. Sounds are
cut into slices of 30 s; the slices of one sound, and of no other, are encoded together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import avg_pool1d, gelu, linear, relu

from tests.families.audio_reference import RATE, Sound, greedy

__all__ = ["MiniCPMOReference"]

HOP, SLICE = 160, 30 * RATE
_SECOND = 50  # frames of the encoder


class MiniCPMOReference:
    """A checkpoint with everything inside."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file
        from transformers import (
            PreTrainedTokenizerFast,
            Qwen2Config,
            Qwen2ForCausalLM,
            WhisperConfig,
            WhisperFeatureExtractor,
        )
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.pool = config["audio_pool_step"]
        self.state = load_file(folder / "model.safetensors")
        self.words = PreTrainedTokenizerFast.from_pretrained(folder)
        audio = WhisperConfig(**config["audio_config"])
        audio._attn_implementation = "eager"
        self.extract = WhisperFeatureExtractor(feature_size=audio.num_mel_bins)
        self.encoder = WhisperEncoder(audio).eval()
        self.encoder.load_state_dict(self._part("apm."))
        names = ("vision_config", "audio_config", "auto_map", "architectures", "model_type")
        text = {name: value for name, value in config.items() if name not in names}
        self.language = Qwen2ForCausalLM(Qwen2Config(**text)).eval()
        self.language.load_state_dict(self._part("llm."))
        self.projector = self._part("audio_projection_layer.")

    def _part(self, start: str) -> dict[str, torch.Tensor]:
        found = self.state.items()
        return {name.removeprefix(start): value for name, value in found if name.startswith(start)}

    def _heard(self, sound: Sound) -> torch.Tensor:
        """`[tokens, hidden]`, 25 a second."""
        slices = [sound[at : at + SLICE] for at in range(0, len(sound), SLICE)]
        found = self.extract(
            slices,
            sampling_rate=RATE,
            padding="max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        frames = found.attention_mask.sum(1).tolist()
        mels = found.input_features[..., : max(frames)].clone()
        for row, count in zip(mels, frames, strict=True):
            row[:, count:] = 0  # silence has a spectrum of its own
        states = self._encode(mels, frames)
        projected = linear(states, self.projector["linear1.weight"], self.projector["linear1.bias"])
        projected = linear(
            relu(projected), self.projector["linear2.weight"], self.projector["linear2.bias"]
        )
        pooled = avg_pool1d(projected.transpose(1, 2), self.pool).transpose(1, 2)
        counts = [((count - 1) // 2 + 1) // self.pool for count in frames]
        return torch.cat([row[:count] for row, count in zip(pooled, counts, strict=True)])

    def _encode(self, mels: torch.Tensor, frames: list[int]) -> torch.Tensor:
        """`[slices, steps, width]`; the mask compares steps with frames, as the authors' does."""
        encoder = self.encoder
        states = gelu(encoder.conv2(gelu(encoder.conv1(mels)))).transpose(1, 2)
        steps = states.shape[1]
        states = states + encoder.embed_positions.weight[:steps]
        place = torch.arange(steps)
        later = place[None, :] // _SECOND > place[:, None] // _SECOND
        padded = place[None, :] >= torch.tensor(frames)[:, None]
        hidden = later[None] | padded[:, None]
        mask = torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf)[:, None]
        for layer in encoder.layers:
            found = layer(states, mask)
            states = found[0] if isinstance(found, tuple) else found
        normed: torch.Tensor = encoder.layer_norm(states)
        return normed

    def answer(
        self, text: str, sounds: Sequence[Sound], tokens: int = 16
    ) -> tuple[list[int], list[int], torch.Tensor]:
        """Ids of prompt and answer, and `[tokens, vocabulary]` log-probabilities."""
        mark = "(<audio>./</audio>)"
        written = "\n".join([*[mark] * len(sounds), text])
        turn = [{"role": "user", "content": written}]
        prompt = self.words.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        pieces = prompt.split(mark)
        with torch.inference_mode():
            heard = [self._heard(sound) for sound in sounds]
            ids = self._ids(pieces[0])
            for sound, piece in zip(sounds, pieces[1:], strict=True):
                ids += self._ids(self._place(len(sound)) + piece)
            embeds = self.language.get_input_embeddings()(torch.tensor([ids]))
            if heard:
                [unknown] = self._ids("<unk>")
                embeds[0, torch.tensor(ids) == unknown] = torch.cat(heard)
            return ids, *greedy(self.language, embeds, self.words.eos_token_id, tokens)

    def _place(self, samples: int) -> str:
        """What stands in the prompt for a sound: its tokens, second by second."""
        frames = -(-samples // HOP)
        left = ((frames - 1) // 2 + 1) // self.pool
        most = _SECOND // self.pool
        seconds = [min(most, left - at) for at in range(0, left, most)]
        return "".join(f"<audio>{'<unk>' * count}</audio>" for count in seconds)

    def _ids(self, text: str) -> list[int]:
        return list(self.words.encode(text, add_special_tokens=False))
