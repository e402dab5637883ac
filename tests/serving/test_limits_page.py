"""`docs/limits.md` has every limit there is, with its default and its flag."""

from __future__ import annotations

import re
from pathlib import Path

from sensorium.serving.media.fetch import FetchPolicy
from sensorium.serving.media.pool import PoolOptions
from sensorium.serving.settings import OPTIONS, Option

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "limits.md").read_text()
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| (.*?) ?\|$", PAGE, re.MULTILINE)
# Numbers that limit nothing.
_NO_LIMITS = {"port"}


def limits() -> list[Option]:
    return [o for o in OPTIONS if o.kind in (int, float) and o.name not in _NO_LIMITS]


def number(text: str) -> float:
    found = re.match(r"[\d,]+", text)
    return float(found[0].replace(",", "")) if found else -1.0


def test_every_flag_is_there_with_its_default() -> None:
    stated = {flag.strip("`"): number(default) for _, default, flag in ROWS if flag.startswith("`")}
    ours = {f"--{option.name}": float(option.default) for option in limits()}
    assert len(ours) > 20
    assert ours.items() <= stated.items()
    others = stated.keys() - ours.keys()
    assert others == {f"--{o.name}" for o in OPTIONS if o.engine} & others


def test_limits_without_a_flag_are_those_of_the_code() -> None:
    fixed = {what: default for what, default, flag in ROWS if flag == ""}
    policy = FetchPolicy()
    assert fixed["bytes"] == f"{policy.max_bytes >> 20} MiB"
    assert int(fixed["redirects on the way to it"]) == policy.redirects
    waiting = next(default for _, default, flag in ROWS if flag == "`--media-queue`")
    options = PoolOptions()
    assert waiting == f"{options.waiting:,}, or {options.waiting_bytes >> 20} MiB"
