"""What is wrong with a checkpoint, in words its owner can act on."""

from __future__ import annotations

__all__ = ["CheckpointError", "UnconfirmedFamilyError", "UnknownFamilyError"]


class CheckpointError(ValueError):
    """A checkpoint cannot be served as it is; the message names the file or the config key.

    It is a ValueError because vLLM passes those from its configuration code to the user unchanged.
    """


class UnknownFamilyError(CheckpointError):
    """No model family is known for a config; the message lists what was seen and what is near."""


class UnconfirmedFamilyError(CheckpointError):
    """A config of a family whose facts were not all seen, and that no user named."""
