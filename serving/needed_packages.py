"""Packages that single models need and that neither Sensorium nor vLLM brings.

vLLM and transformers find out when they build the model, after the engine has started, and say it
inside of long errors.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["NEEDED", "NeededPackage", "absent_for", "is_absent"]


@dataclass(frozen=True)
class NeededPackage:
    """A package by the name that is imported and installed, and the extra that brings it."""

    name: str
    extra: str
    models: str
    why: str
    architectures: tuple[str, ...]

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install 'sensorium[{self.extra}]'"


NEEDED = (
    NeededPackage(
        "num2words",
        "smolvlm",
        "SmolVLM",
        "its processor writes numbers of frames in words",
        ("SmolVLMForConditionalGeneration",),
    ),
    NeededPackage(
        "timm",
        "timm",
        "DeepSeek-VL2, Gemma 3n and OpenVLA",
        "their vision towers are built by it",
        (
            "DeepseekVLV2ForCausalLM",
            "Gemma3nForConditionalGeneration",
            "OpenVLAForActionPrediction",
        ),
    ),
)


def is_absent(package: NeededPackage) -> bool:
    """Whether it is not installed here. Imports nothing."""
    return importlib.util.find_spec(package.name) is None


def absent_for(architectures: Iterable[str]) -> str | None:
    """What a model of one of these architectures lacks here, in one sentence; None if nothing."""
    names = set(architectures)
    for package in NEEDED:
        if names.intersection(package.architectures) and is_absent(package):
            return (
                f"{package.models} need{'s' * (' and ' not in package.models)} the package "
                f"{package.name}, which is not installed ({package.why}): {package.command}, "
                f"or pip install {package.name}"
            )
    return None
