"""Decide what an installation needs, and do it."""

from __future__ import annotations

import py_compile
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sensorium.serving.mend.probe import Finding, probe

__all__ = ["HOOK_MODULE", "Step", "hook_is_current", "mend", "needed_steps", "site_packages"]

HOOK_MODULE = "_sensorium_torchvision_hook"
HOOK_SOURCE = Path(__file__).with_name("torchvision_hook.py")
REMOVABLE = ("torchaudio", "torchcodec")


@dataclass(frozen=True)
class Step:
    """One thing to do: `install-hook` for torchvision, or `uninstall` a library; and why."""

    action: str
    library: str
    reason: str


def site_packages() -> Path:
    """The folder this interpreter installs pure-Python packages into."""
    return Path(sysconfig.get_path("purelib"))


def hook_is_current(folder: Path) -> bool:
    """Whether `folder` has the hook, as this version of Sensorium writes it."""
    module, starter = folder / f"{HOOK_MODULE}.py", folder / f"{HOOK_MODULE}.pth"
    return (
        starter.is_file() and module.is_file() and module.read_bytes() == HOOK_SOURCE.read_bytes()
    )


def needed_steps(findings: Mapping[str, Finding], *, hook_current: bool) -> list[Step]:
    """What mends an installation that was found as `findings` say; empty when it is sound.

    Only a CPU build of torch is mended: beside a CUDA build a broken companion means that the
    versions do not fit, and then installing the right ones is the answer.
    """
    torch = findings.get("torch")
    if torch is None or torch.state != "sound" or torch.cuda is not None:
        return []
    steps = []
    vision = findings.get("torchvision")
    if vision and vision.state in ("broken", "patched") and not hook_current:
        reason = vision.detail or "its compiled operators do not load"
        steps.append(Step("install-hook", "torchvision", reason))
    for name in REMOVABLE:
        found = findings.get(name)
        if found and found.state == "broken":
            steps.append(Step("uninstall", name, found.detail))
    return steps


def mend(say: Callable[[str], None] = print) -> bool:
    """Find what is broken, mend it, look again; tell `say` each thing. True when all is sound."""
    folder = site_packages()
    findings = probe()
    steps = needed_steps(findings, hook_current=hook_is_current(folder))
    if not steps:
        return _conclude(findings, say, changed=False)
    for step in steps:
        if step.action == "install-hook":
            say("mend: torchvision does not fit this torch; it is used without its operators")
            install_hook(folder)
        else:
            say(f"mend: {step.library} does not fit this torch; removing it, nothing needs it")
            if not uninstall(step.library, say):
                return False
    return _conclude(probe(), say, changed=True)


def install_hook(folder: Path) -> None:
    """Write the torchvision hook and the `.pth` file that starts it into `folder`."""
    module = folder / f"{HOOK_MODULE}.py"
    module.write_bytes(HOOK_SOURCE.read_bytes())
    # Compiled now: it runs at every start, and would be compiled every time where Python may not
    # write beside it (PYTHONDONTWRITEBYTECODE, another user's installation).
    py_compile.compile(str(module), doraise=True)
    (folder / f"{HOOK_MODULE}.pth").write_text(f"import {HOOK_MODULE}\n", encoding="utf-8")


def uninstall(library: str, say: Callable[[str], None]) -> bool:
    """Remove `library` with pip; on failure tell `say` pip's last line and return False."""
    pip = [sys.executable, "-m", "pip", "uninstall", "--yes", "--quiet", library]
    done = subprocess.run(pip, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        say(f"mend: pip could not remove {library}: {last}")
    return done.returncode == 0


def _conclude(
    findings: Mapping[str, Finding], say: Callable[[str], None], *, changed: bool
) -> bool:
    torch = findings["torch"]
    if torch.state != "sound":
        say(f"mend: torch is {torch.state}: {torch.detail or 'install it first'}")
        return False
    broken = [found for found in findings.values() if found.state == "broken"]
    for found in broken:
        say(f"mend: {found.name} {found.version} does not import: {found.detail}")
    if not broken:
        state = "torch and its companions now import" if changed else "nothing to mend"
        parts = ", ".join(_named(found) for found in findings.values())
        say(f"mend: {state} ({parts})")
    return not broken


def _named(found: Finding) -> str:
    if found.state == "absent":
        return f"no {found.name}"
    suffix = " without operators" if found.state == "patched" else ""
    return f"{found.name} {found.version}{suffix}"
