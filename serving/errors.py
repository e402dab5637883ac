"""Every error Sensorium raises on purpose.

SensoriumError
├── UserError                the command line was used wrongly; one line, exit code 2
├── EngineStartError         an engine did not start; one line, exit code 1
└── RequestError             an HTTP request failed; answered in OpenAI's error shape
    ├── BadRequestError          400 invalid_request_error
    ├── AuthenticationError      401 invalid_request_error / invalid_api_key
    ├── ModelNotFoundError       404 invalid_request_error / model_not_found
    ├── UnknownRouteError        404 invalid_request_error / unknown_url
    ├── PayloadTooLargeError     413 invalid_request_error / request_too_large
    ├── TooManyRequestsError     429 requests / rate_limit_exceeded, with Retry-After
    └── UnavailableError         503 server_error / service_unavailable, with Retry-After
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "EngineStartError",
    "ModelNotFoundError",
    "PayloadTooLargeError",
    "RequestError",
    "SensoriumError",
    "TooManyRequestsError",
    "UnavailableError",
    "UnknownRouteError",
    "UserError",
    "WrongMethodError",
]


class SensoriumError(Exception):
    """Base of every error raised on purpose."""


class UserError(SensoriumError):
    """Something the person at the command line can mend; the message says what and how."""


class EngineStartError(SensoriumError):
    """An engine failed to start; the message is the cause in one line."""


class RequestError(SensoriumError):
    """A failed HTTP request, in the terms of OpenAI's error object.

    `param` names the offending field (`messages.0.content.1.image_url`), `code` is OpenAI's short
    machine-readable reason or None; both are sent as they are.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else self.default_code
        self.headers: dict[str, str] = {}

    def body(self) -> dict[str, dict[str, str | None]]:
        """The JSON body of the answer, in the shape of OpenAI's `ErrorResponse` schema."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class BadRequestError(RequestError):
    """The client sent something it can mend."""

    status = 400
    type = "invalid_request_error"


class AuthenticationError(RequestError):
    """No API key, or a wrong one."""

    status = 401
    type = "invalid_request_error"
    default_code = "invalid_api_key"


class ModelNotFoundError(RequestError):
    """The request names a model that is not served here."""

    status = 404
    type = "invalid_request_error"
    default_code = "model_not_found"


class UnknownRouteError(RequestError):
    """No such path, or not with this method."""

    status = 404
    type = "invalid_request_error"
    default_code = "unknown_url"


class WrongMethodError(RequestError):
    """The path exists, but not for this method."""

    status = 405
    type = "invalid_request_error"
    default_code = "method_not_allowed"

    def __init__(self, path: str, method: str, allowed: str) -> None:
        super().__init__(f"{path} takes {allowed}, got {method}")
        self.headers["Allow"] = allowed


class PayloadTooLargeError(RequestError):
    """The request body is larger than the server accepts."""

    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


class TooManyRequestsError(RequestError):
    """More waits than may wait; the client should try again."""

    status = 429
    type = "requests"
    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.headers["Retry-After"] = str(retry_after)


class UnavailableError(RequestError):
    """The server cannot take the request now; the client should try again."""

    status = 503
    type = "server_error"
    default_code = "service_unavailable"

    def __init__(self, message: str, *, retry_after: int = 5, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.headers["Retry-After"] = str(retry_after)
