"""openai-python's own tests against our server, with every exception listed and explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import openai_suite
from tests.conformance.live import Conformance, report_counts
from tests.conformance.openai_suite import Exclusion, Verdict, judge


@pytest.fixture(scope="module")
def verdict(conformance: Conformance, tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    folder: Path = tmp_path_factory.mktemp("openai-python")
    table = openai_suite.read_table()
    sdist = openai_suite.fetch_sdist()
    openai_suite.unpack(sdist, folder)
    places = openai_suite.adapt(folder, table["adapt"])
    results = openai_suite.run(folder, table["modules"], f"{conformance.url}/v1", conformance.sound)
    found = judge(results, openai_suite.exclusions_of(table))
    counts = ", ".join(f"{number} {name}" for name, number in found.counts.items())
    name = sdist.name.removesuffix(".tar.gz")
    report_counts(f"tests of {name}: {counts} ({places} values adapted)")
    return found


@pytest.mark.timeout(300)
def test_all_pass_but_those_listed(verdict: Verdict) -> None:
    assert not verdict.failed, "\n".join(verdict.failed)
    assert verdict.counts["passed"] > 200


def test_no_entry_is_out_of_date(verdict: Verdict) -> None:
    assert not verdict.mended, "these pass now, drop them: " + ", ".join(verdict.mended)
    assert not verdict.unused, "these match no test: " + ", ".join(verdict.unused)


def test_judge() -> None:
    results = {"m::test_a::x": "", "m::test_b::x": "400", "m::test_c::x": "500"}
    rules = [Exclusion(("m::test_[ab]::*", "m::test_d::*"), "why")]
    found = judge(results, rules)
    assert found.failed == ["m::test_c::x: 500"]
    assert found.mended == ["m::test_a::x"]
    assert found.unused == ["m::test_d::*"]
