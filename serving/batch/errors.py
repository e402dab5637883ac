"""What can stop a whole batch; a bad row never does.

SensoriumError
└── BatchStoppedError        the batch stopped early; what is written is whole, it can go on later
    ├── OutputError              an output file cannot be written
    ├── ServerGoneError          the server or engine answers no more
    └── RefusedError             the server refuses us altogether (a wrong key)
"""

from __future__ import annotations

from sensorium.serving.errors import SensoriumError

__all__ = ["BatchStoppedError", "OutputError", "RefusedError", "ServerGoneError"]


class BatchStoppedError(SensoriumError):
    """The batch cannot go on now; the message says why, in one line."""


class OutputError(BatchStoppedError):
    """An output file cannot be written: a full disk, a missing permission."""


class ServerGoneError(BatchStoppedError):
    """Nothing answers any more, or the engine has died."""


class RefusedError(BatchStoppedError):
    """The server refuses every request in the same way."""
