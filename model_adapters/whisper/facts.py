"""What is the same in every layout of a Whisper: its sizes, and its timestamps. Imports nothing."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TIMESTAMPS", "WhisperDimensions"]

# <|0.00|> to <|30.00|>, in the order of their ids, right after <|notimestamps|>.
TIMESTAMPS = tuple(f"<|{step / 50:.2f}|>" for step in range(1501))


@dataclass(frozen=True)
class WhisperDimensions:
    """The sizes of a Whisper, under the names Hugging Face's WhisperConfig gives them."""

    d_model: int
    num_mel_bins: int
    vocab_size: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    max_source_positions: int
    decoder_layers: int
    decoder_attention_heads: int
    decoder_ffn_dim: int
    max_target_positions: int
