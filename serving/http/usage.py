"""Token usage with the prompt split by modality, as OpenAI's `prompt_tokens_details` has it.

vLLM 0.32 (`PromptTokenUsageInfo`) reports `cached_tokens` and `multimodal_tokens` (a count per
modality) where it knows them, and leaves the object out otherwise.
"""

from __future__ import annotations

from typing import Any

__all__ = ["complete_usage"]


def complete_usage(usage: dict[str, Any]) -> None:
    """Fill `prompt_tokens_details` in place, so that it is always there and adds up.

    `text_tokens + image_tokens + audio_tokens (+ video_tokens) == prompt_tokens`; OpenAI has no
    field for video, so ours appears only when a prompt holds any. vLLM's own `multimodal_tokens`
    is kept for its users.
    """
    if not isinstance(usage.get("prompt_tokens"), int):
        return
    details = usage.get("prompt_tokens_details") or {}
    media: dict[str, int] = details.get("multimodal_tokens") or {}
    details["cached_tokens"] = details.get("cached_tokens") or 0
    details["image_tokens"] = media.get("image", 0)
    details["audio_tokens"] = media.get("audio", 0)
    if "video" in media:
        details["video_tokens"] = media["video"]
    details["text_tokens"] = max(0, usage["prompt_tokens"] - sum(media.values()))
    if not media:
        details.pop("multimodal_tokens", None)
    details["cache_write_tokens"] = details.pop("created_cache_tokens", None) or 0
    usage["prompt_tokens_details"] = details
