"""Fields of a request that vLLM 0.32 takes without a look and stumbles over later.

Each was found by sending every field odd values and looking for a 5xx or a broken stream.
"""

from __future__ import annotations

from typing import Any

from sensorium.serving.errors import BadRequestError

__all__ = ["mend_request"]

_LONGEST_INTERVAL = 1 << 31


def mend_request(path: str, body: dict[str, Any]) -> bool:
    """Refuse or mend such fields of a JSON body, in place; True when it was changed.

    Raises BadRequestError naming the field.
    """
    outputs = body.get("structured_outputs")
    if outputs is not None and not isinstance(outputs, dict):
        raise BadRequestError(
            f"`structured_outputs` must be an object, got {type(outputs).__name__}",
            param="structured_outputs",
        )
    interval = body.get("stream_interval")
    if isinstance(interval, int) and interval > _LONGEST_INTERVAL:
        raise BadRequestError(
            f"`stream_interval` must be at most {_LONGEST_INTERVAL}", param="stream_interval"
        )
    # Both are wanted done, whatever the first returns.
    return any([_keep_whole_pictures(body), path == "/v1/responses" and _drop_nulls(body)])


def _keep_whole_pictures(body: dict[str, Any]) -> bool:
    # Such options may change the size that a model sees: what is prepared beforehand is not for it.
    if not body.get("mm_processor_kwargs"):
        return False
    options = body.get("media_io_kwargs")
    given = options if isinstance(options, dict) else {}
    image = given.get("image")
    picture = image if isinstance(image, dict) else {}
    body["media_io_kwargs"] = {**given, "image": {**picture, "recipe": ""}}
    return True


def _drop_nulls(body: dict[str, Any]) -> bool:
    # Null means "not given", but vLLM copies it into an answer whose fields allow none, and the
    # stream ends in the middle.
    nulls = [name for name, value in body.items() if value is None]
    for name in nulls:
        del body[name]
    return bool(nulls)
