"""Random requests made from our own /openapi.json: no 5xx, and answers as the description says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.conformance.live import KEY, Conformance, report_counts

EXAMPLES_PER_OPERATION = 40
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@pytest.mark.timeout(280)
def test_no_server_error_and_answers_as_described(conformance: Conformance, tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    command = [sys.executable, "-m", "schemathesis.cli", "run"]
    options = {
        "header": f"Authorization: Bearer {KEY}",
        "phases": "examples,fuzzing",
        "max-examples": str(EXAMPLES_PER_OPERATION),
        "seed": "1",
        "checks": ",".join(CHECKS),
        "request-timeout": "60",
        "generation-database": "none",
        "report": "ndjson",
        "report-ndjson-path": str(events),
    }
    done = subprocess.run(
        [
            *command,
            f"{conformance.url}/openapi.json",
            "--no-shrink",
            "--continue-on-failure",
            *(f"--{name}={value}" for name, value in options.items()),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "PYTHONPATH": str(Path(__file__).parent),
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=260,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    statuses = statuses_of(events)
    shown = ", ".join(f"{number} with {code}" for code, number in sorted(statuses.items()))
    report_counts(f"schemathesis: {sum(statuses.values())} requests: {shown}")
    assert statuses[200] > 50


def statuses_of(events: Path) -> Counter[int]:
    """How often each status was answered, from schemathesis's own record."""
    found: Counter[int] = Counter()
    for line in events.read_text("utf-8").splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder") or {}
        for interaction in recorder.get("interactions", {}).values():
            if interaction.get("response"):
                found[interaction["response"]["status_code"]] += 1
    return found
