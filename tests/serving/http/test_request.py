"""Fields that vLLM does not look at before it is too late."""

from __future__ import annotations

from typing import Any

import pytest

from sensorium.serving.errors import BadRequestError
from sensorium.serving.http.request import mend_request


@pytest.mark.parametrize(
    ("field", "value"),
    [("structured_outputs", []), ("structured_outputs", "x"), ("stream_interval", 10**30)],
)
def test_refused(field: str, value: object) -> None:
    with pytest.raises(BadRequestError) as caught:
        mend_request("/v1/completions", {field: value})
    assert caught.value.param == field


def test_nulls_are_dropped_from_a_response_request() -> None:
    body: dict[str, Any] = {"input": "hi", "background": None}
    assert mend_request("/v1/responses", body)
    assert body == {"input": "hi"}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_the_rest_is_left_alone(path: str) -> None:
    body = {"structured_outputs": {"regex": "a"}, "stream_interval": 2}
    assert not mend_request(path, dict(body))
    assert not mend_request("/v1/completions", {"stop": None})


def test_options_for_the_processor_get_whole_pictures() -> None:
    body: dict[str, Any] = {
        "mm_processor_kwargs": {"max_pixels": 1},
        "media_io_kwargs": {"image": {"image_mode": "L"}, "video": {"fps": 1}},
    }
    assert mend_request("/v1/chat/completions", body)
    assert body["media_io_kwargs"] == {
        "image": {"image_mode": "L", "recipe": ""},
        "video": {"fps": 1},
    }
    assert not mend_request("/v1/chat/completions", {"mm_processor_kwargs": None})
