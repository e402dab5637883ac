import re
import subprocess
import sys
from pathlib import Path

import pytest

from sensorium.model_adapters import catalogue, store
from sensorium.model_adapters.catalogue import (
    KNOWN,
    KnownModel,
    ModelNotInstalledError,
    PullError,
    UnknownModelError,
    resolve,
)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SENSORIUM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def install_fake(name: str = "whisper-base") -> Path:
    with store.locked(name, lambda: None):
        return store.install(name, {}, write_config)


def write_config(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def test_the_known_names() -> None:
    assert list(KNOWN) == ["demo", "whisper-base"]
    for name, model in KNOWN.items():
        assert model.name == name
        assert model.summary and model.licence and model.origin
        assert model.size > 0
        assert (model.packaged is None) != (model.fetcher is None)


def test_resolve_finds_an_installed_model() -> None:
    folder = install_fake()
    assert resolve("whisper-base") == folder
    assert KNOWN["whisper-base"].installed()


def test_resolve_tells_how_to_get_a_model_that_is_absent() -> None:
    with pytest.raises(
        ModelNotInstalledError, match=re.escape("run `sensorium pull whisper-base`")
    ):
        resolve("whisper-base")


def test_resolve_lists_the_names_for_an_unknown_one() -> None:
    with pytest.raises(UnknownModelError, match="no model named 'gpt'; known are demo, whisper"):
        resolve("gpt")


def test_a_model_with_a_file_cut_short_is_not_installed() -> None:
    folder = install_fake()
    (folder / "config.json").write_text("{")
    assert not KNOWN["whisper-base"].installed()
    with pytest.raises(ModelNotInstalledError):
        resolve("whisper-base")


def test_a_packaged_model_lies_in_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = KnownModel("p", "s", "l", "o", 1, packaged="nowhere/checkpoint")
    monkeypatch.setitem(KNOWN, "p", packaged)
    assert packaged.path() == Path(catalogue.__file__).parent / "nowhere" / "checkpoint"
    assert not packaged.installed()
    with pytest.raises(ModelNotInstalledError, match=r"comes with Sensorium but .* is not whole"):
        resolve("p")
    with pytest.raises(PullError, match="cannot be pulled"):
        packaged.fetch()


def test_each_fetcher_can_be_imported() -> None:
    for model in KNOWN.values():
        if model.fetcher is not None:
            assert callable(model.fetch())


def test_reading_the_catalogue_imports_nothing_heavy() -> None:
    code = (
        "import sys, sensorium.model_adapters.catalogue;"
        "heavy = {'torch', 'vllm', 'transformers', 'numpy', 'httpx'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
