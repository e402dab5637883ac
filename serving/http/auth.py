"""API keys: which requests need one, and the comparison."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from starlette.datastructures import Headers

from sensorium.serving.errors import AuthenticationError

__all__ = ["KeyRing"]

_OPEN_PREFIX = "/health"


class KeyRing:
    """Checks the bearer token of a request against the server's keys.

    Every path needs a key except `/health*`, and `/metrics` when `public_metrics` is set. Without
    any key the server is open.
    """

    def __init__(self, keys: Iterable[str], *, public_metrics: bool = False) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._public_metrics = public_metrics

    def check(self, path: str, headers: Headers) -> None:
        """Raise AuthenticationError unless the request may pass."""
        if not self._digests or path == _OPEN_PREFIX or path.startswith(_OPEN_PREFIX + "/"):
            return
        if self._public_metrics and path == "/metrics":
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not token or scheme.lower() != "bearer":
            raise AuthenticationError(
                "You didn't provide an API key; send it in the header "
                "`Authorization: Bearer YOUR_KEY`"
            )
        given = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        # Every key is compared, so that the time taken says nothing about which one came close.
        if sum(hmac.compare_digest(given, digest) for digest in self._digests) == 0:
            raise AuthenticationError("Incorrect API key provided")
