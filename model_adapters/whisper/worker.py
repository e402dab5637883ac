"""Where the decoder listens while it writes: cross-attention of a finished text, in vLLM's worker.

vLLM's attention kernels keep no weights, so the text is put through the decoder once more, with the
attention written out. The layers are those of the loaded model, in whatever precision or
quantisation they were loaded; only the arithmetic between them is here.

Depends on vLLM 0.32: the attribute names of `vllm.model_executor.models.whisper`, and
`worker_extension_cls`, by which a worker gains methods.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

__all__ = ["WhisperWorker"]


class WhisperWorker:
    """Mixed into vLLM's worker; called through `collective_rpc`."""

    def whisper_attention(
        self, window: int, mel: bytes, tokens: list[int], frames: int, heads: list[list[int]]
    ) -> tuple[bytes, list[float]]:
        """Attention scores of the text over the sound, and how probable each token was.

        `mel` is float32 [bins, 3000], `tokens` the decoder's whole input, `frames` how many of the
        encoder's 1,500 steps are sound, `heads` pairs (layer, head). Gives float32 scores
        [heads, tokens, frames] before the softmax, as bytes, and for each token but the first the
        probability the model gave it among text tokens, `<|endoftext|>` being the last in `tokens`.
        """
        runner: Any = self.model_runner  # type: ignore[attr-defined]
        model = runner.get_model()
        device = next(model.parameters()).device
        sound = np.frombuffer(mel, np.float32).reshape(model.config.num_mel_bins, -1)
        features = torch.from_numpy(sound.copy()).to(device)
        with torch.inference_mode():
            (encoded,) = model.encode([window], features[None])
            ids = torch.tensor(tokens, device=device)
            hidden, scores = _decode(model, ids, encoded, heads)
            logits = model.compute_logits(hidden[:-1]).float()[:, : tokens[-1]]
            probable = logits.softmax(-1)
            said = [
                float(row[token]) if token < tokens[-1] else 0.0
                for row, token in zip(probable, tokens[1:], strict=True)
            ]
        chosen = scores[:, :, :frames].float().cpu().contiguous().numpy()
        return chosen.tobytes(), said


def _decode(
    model: Any, ids: torch.Tensor, encoded: torch.Tensor, heads: list[list[int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states [tokens, width] and the wanted heads' scores [heads, tokens, 1500]."""
    decoder = model.model.decoder
    positions = torch.arange(len(ids), device=ids.device)
    hidden = decoder.embed_input_ids(ids) + decoder.embed_positions(positions)
    kept: dict[tuple[int, int], torch.Tensor] = {}
    for index, layer in enumerate(decoder.layers):
        hidden = hidden + _attend_text(layer.self_attn, layer.self_attn_layer_norm(hidden))
        heard, scores = _attend_sound(
            layer.encoder_attn, layer.encoder_attn_layer_norm(hidden), encoded
        )
        kept |= {(index, head): scores[head] for at, head in heads if at == index}
        hidden = hidden + heard
        hidden = hidden + layer.mlp(layer.final_layer_norm(hidden))
    return decoder.layer_norm(hidden), torch.stack([kept[at, head] for at, head in heads])


def _attend_text(attention: Any, hidden: torch.Tensor) -> torch.Tensor:
    fused, _ = attention.qkv_proj(hidden)
    query, key, value = (_split(part, attention) for part in fused.chunk(3, -1))
    mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    out: torch.Tensor = attention.out_proj(_join(mixed))[0]
    return out


def _attend_sound(
    attention: Any, hidden: torch.Tensor, encoded: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    query, _ = attention.q_proj(hidden)
    fused, _ = attention.kv_proj(encoded)
    key, value = (_split(part, attention) for part in fused.chunk(2, -1))
    scores = (_split(query, attention) * attention.head_dim**-0.5) @ key.transpose(-1, -2)
    mixed = scores.float().softmax(-1).to(value.dtype) @ value
    return attention.out_proj(_join(mixed))[0], scores


def _split(states: torch.Tensor, attention: Any) -> torch.Tensor:
    """[length, width] -> [heads, length, width of a head]."""
    return states.unflatten(-1, (-1, attention.head_dim)).transpose(0, 1)


def _join(states: torch.Tensor) -> torch.Tensor:
    return states.transpose(0, 1).flatten(-2)
