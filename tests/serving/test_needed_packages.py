"""Packages that single models need: named with what installs them, and found in the extras."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sensorium.serving.doctor import Status
from sensorium.serving.doctor.findings import judge_needed
from sensorium.serving.needed_packages import NEEDED, absent_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them installed."""
    theirs = importlib.util.find_spec
    names = {package.name for package in NEEDED}

    def find(name: str, *rest: Any) -> Any:
        return None if name in names else theirs(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", find)


@pytest.mark.usefixtures("without")
class TestAbsent:
    @pytest.mark.parametrize(
        ("architecture", "said"),
        [
            ("SmolVLMForConditionalGeneration", "SmolVLM needs the package num2words"),
            ("DeepseekVLV2ForCausalLM", "Gemma 3n and OpenVLA need the package timm"),
            ("Gemma3nForConditionalGeneration", "pip install 'sensorium[timm]'"),
        ],
    )
    def test_what_installs_it_is_said(self, architecture: str, said: str) -> None:
        assert said in (absent_for([architecture]) or "")

    def test_other_models_need_none(self) -> None:
        assert absent_for(["LlavaForConditionalGeneration"]) is None


def test_nothing_is_said_where_all_is_here() -> None:
    assert absent_for(["SmolVLMForConditionalGeneration", "DeepseekVLV2ForCausalLM"]) is None


def test_the_doctor_notes_what_is_absent() -> None:
    assert judge_needed([]) == []
    checks = judge_needed(NEEDED)
    assert [check.name for check in checks] == ["num2words", "timm"]
    assert {check.status for check in checks} == {Status.NOTE}
    assert all((check.remedy or "").endswith(f"install {check.name}") for check in checks)


def test_every_extra_brings_its_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for package in NEEDED:
        [wanted] = extras[package.extra]
        assert wanted.startswith(package.name)
        assert wanted in extras["dev"]
