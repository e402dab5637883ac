"""Try libraries in a child process, where a crash is a finding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["COMPANIONS", "Finding", "probe"]

COMPANIONS = ("torchvision", "torchaudio", "torchcodec")
PROBE_SECONDS = 180


@dataclass(frozen=True)
class Finding:
    """What importing one library gave.

    `state` is `absent`, `sound`, `patched` (imports, but without its compiled operators) or
    `broken`; `detail` is the cause of the last in one line. `cuda` is torch's CUDA version (or
    its ROCm one), None for a CPU build and where torch is not there. `details` lists what the
    library can do: `images`, `sounds`, `videos` it reads, the `device` that vLLM sees.
    """

    name: str
    state: str
    version: str | None = None
    cuda: str | None = None
    detail: str = ""
    details: Mapping[str, Sequence[str]] = field(default_factory=dict)


def probe(names: Sequence[str] = ("torch", *COMPANIONS)) -> dict[str, Finding]:
    """Import each of `names` in a child process and report on it, in order.

    A library that kills the child is reported broken and the rest are tried in another.
    """
    findings: dict[str, Finding] = {}
    while remaining := [name for name in names if name not in findings]:
        before = len(findings)
        findings.update(_one_child(remaining))
        if len(findings) == before:
            findings[remaining[0]] = Finding(remaining[0], "broken", detail="it ends the process")
    return findings


def _one_child(names: Sequence[str]) -> dict[str, Finding]:
    """Findings of one child; when it died at a library, that library is the last finding."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    child = [sys.executable, str(Path(__file__).with_name("probe_child.py")), *names]
    try:
        done = subprocess.run(
            child,
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
        )
        output, errors, how = done.stdout, done.stderr, f"exit code {done.returncode}"
    except subprocess.TimeoutExpired as late:
        output = late.stdout.decode() if isinstance(late.stdout, bytes) else (late.stdout or "")
        errors, how = "", f"no answer in {PROBE_SECONDS} s"
    findings = {}
    started: str | None = None
    for line in output.splitlines():
        if not line.startswith("{"):
            continue
        fields = json.loads(line)
        if "trying" in fields:
            started = fields["trying"]
        else:
            findings[fields["name"]] = Finding(**fields)
            started = None
    if started is not None:
        last = errors.strip().splitlines()[-1:] or [""]
        detail = f"it ends the process ({how}) {last[0]}".strip()
        findings[started] = Finding(started, "broken", detail=detail)
    return findings
