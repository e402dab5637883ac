"""Ultravox in plain torch over transformers' Whisper encoder and Llama.

Written from fixie-ai/ultravox, `ultravox/model/ultravox_{model,processing}.py`. Each window of a
sound is encoded alone, without padding, which its attention mask amounts to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import gelu, pad, silu

from tests.families.audio_reference import RATE, Sound, greedy

__all__ = ["UltravoxReference"]

HOP, WINDOW = 160, 3000


class UltravoxReference:
    """A checkpoint with everything inside."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file
        from transformers import (
            AutoTokenizer,
            LlamaConfig,
            LlamaForCausalLM,
            WhisperConfig,
            WhisperFeatureExtractor,
        )
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.config = config
        self.state = load_file(folder / "model.safetensors")
        self.words = AutoTokenizer.from_pretrained(folder)
        self.extract = WhisperFeatureExtractor(feature_size=config["audio_config"]["num_mel_bins"])
        self.encoder = WhisperEncoder(WhisperConfig(**config["audio_config"])).eval()
        self.encoder.load_state_dict(self._part("audio_tower."))
        self.language = LlamaForCausalLM(LlamaConfig(**config["text_config"])).eval()
        self.language.load_state_dict(self._part("language_model."))

    def _part(self, start: str) -> dict[str, torch.Tensor]:
        found = self.state.items()
        return {name.removeprefix(start): value for name, value in found if name.startswith(start)}

    def _windows(self, sound: Sound) -> Sequence[torch.Tensor]:
        samples = pad(torch.from_numpy(sound), (0, -len(sound) % HOP)).numpy()
        found = self.extract(
            samples, sampling_rate=RATE, padding="longest", truncation=False, return_tensors="pt"
        )
        return list(found.input_features.split(WINDOW, dim=-1))

    def _encode(self, window: torch.Tensor) -> torch.Tensor:
        """`[tokens, hidden]` of `[1, mels, frames]`."""
        tower, state = self.encoder, self._part("multi_modal_projector.")
        heard = gelu(tower.conv2(gelu(tower.conv1(window)))).transpose(1, 2)
        heard = heard + tower.embed_positions.weight[: heard.shape[1]]
        for layer in tower.layers:
            found = layer(heard, None)
            heard = found[0] if isinstance(found, tuple) else found
        rows = tower.layer_norm(heard)[0]
        stacked = self.config["stack_factor"]
        rows = pad(rows, (0, 0, 0, -len(rows) % stacked)).reshape(-1, stacked * rows.shape[1])
        rows = _norm(rows, state["ln_pre.weight"]) @ state["linear_1.weight"].T
        value, gate = rows.chunk(2, dim=-1)
        return _norm(silu(gate) * value, state["ln_mid.weight"]) @ state["linear_2.weight"].T

    @torch.inference_mode()
    def answer(
        self, text: str, sounds: Sequence[Sound], tokens: int = 16
    ) -> tuple[list[int], list[int], torch.Tensor]:
        """Ids of prompt and answer, and `[tokens, vocabulary]` log-probabilities."""
        turn = {"role": "user", "content": "\n".join([*["<|audio|>"] * len(sounds), text])}
        prompt = self.words.apply_chat_template([turn], tokenize=False, add_generation_prompt=True)
        pieces = [
            self.words.encode(piece, add_special_tokens=False)
            for piece in prompt.split("<|audio|>")
        ]
        embed = self.language.get_input_embeddings()
        ids, rows = list(pieces[0]), [embed(torch.tensor(pieces[0]))]
        for sound, piece in zip(sounds, pieces[1:], strict=True):
            heard = torch.cat([self._encode(window) for window in self._windows(sound)])
            ids += [self.config["audio_token_index"]] * len(heard) + piece
            rows += [heard, embed(torch.tensor(piece))]
        end = self.words.eos_token_id
        return ids, *greedy(self.language, torch.cat(rows)[None], end, tokens)


def _norm(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return rows * (rows.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt() * weight
