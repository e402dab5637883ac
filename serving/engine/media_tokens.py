"""Count the tokens that a request's media become, as soon as its prompt is put together."""

from __future__ import annotations

from typing import Any

from vllm.exceptions import VLLMValidationError

from sensorium.serving.media.budget import MediaBudgetError, spend

__all__ = ["count_media_tokens"]


def count_media_tokens(renderer: Any) -> None:
    """Have vLLM's renderer refuse prompts whose media have more tokens than a request may."""
    process = renderer.process_for_engine_async

    async def counted(*args: Any, **kwargs: Any) -> Any:
        prompt = await process(*args, **kwargs)
        media = prompt.get("mm_placeholders") or {}
        tokens = sum(place.length for places in media.values() for place in places)
        try:
            spend("tokens", tokens)
        except MediaBudgetError as error:
            raise VLLMValidationError(str(error), parameter="messages") from None
        return prompt

    renderer.process_for_engine_async = counted
