"""Video-ChatGPT's config: its own, or that of the LLaVA which its published file stands on."""

from __future__ import annotations

from sensorium.model_adapters.registry import architecture_of
from sensorium.model_adapters.spec import RawConfig

__all__ = ["TOKENS", "read_video_chatgpt"]

# As the authors' loader adds them to LLaVA's tokenizer.
TOKENS = ("<vid_patch>", "<vid_start>", "<vid_end>")


def read_video_chatgpt(raw: RawConfig) -> RawConfig:
    """The config with the video's tokens counted into LLaVA's vocabulary."""
    whole = architecture_of(raw) == "VideoChatGPTLlamaForCausalLM"
    rows = int(raw["vocab_size"]) + (0 if whole else len(TOKENS))
    return {**raw, "mm_use_vid_start_end": True, "vocab_size": rows}
