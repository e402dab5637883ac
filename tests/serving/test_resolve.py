"""From the models the user named to those that are started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sensorium.model_adapters import catalogue
from sensorium.serving.errors import UserError
from sensorium.serving.resolve import resolve_models
from sensorium.serving.settings import ModelRequest, ServeSettings


def settings(*models: str, **more: object) -> ServeSettings:
    requests = tuple(ModelRequest.parse(model) for model in models)
    return ServeSettings(models=requests, **more)  # type: ignore[arg-type]


def test_a_folder_is_named_after_itself(tmp_path: Path) -> None:
    (tmp_path / "llava").mkdir()
    (spec,) = resolve_models(settings(str(tmp_path / "llava")), cpu=True)
    assert spec.names == ("llava",)


def test_a_hub_id_keeps_its_name() -> None:
    (spec,) = resolve_models(settings("Qwen/Qwen2-VL-2B"), cpu=False)
    assert (spec.names, spec.source) == (("Qwen/Qwen2-VL-2B",), "Qwen/Qwen2-VL-2B")


def test_the_users_options_come_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalogue, "resolve", lambda name: tmp_path)
    (spec,) = resolve_models(settings("demo", engine_options=("--dtype", "auto")), cpu=True)
    assert spec.source == str(tmp_path)
    assert spec.options[-2:] == ("--dtype", "auto")
    assert "float32" in spec.options


def test_a_known_model_that_is_not_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SENSORIUM_HOME", str(tmp_path))
    with pytest.raises(UserError, match="sensorium pull whisper-base"):
        resolve_models(settings("whisper-base"), cpu=True)


@pytest.mark.parametrize("source", ["nothing", "./nothing", "/no/such/folder"])
def test_what_is_no_model(source: str) -> None:
    with pytest.raises(UserError, match="not a folder with a checkpoint"):
        resolve_models(settings(source), cpu=True)


def test_names_from_the_file_take_the_place_of_its_own() -> None:
    request = ModelRequest("eyes", "owner/name", served_names=("a", "b"))
    (spec,) = resolve_models(ServeSettings(models=(request,)), cpu=True)
    assert spec.names == ("a", "b")


def test_two_models_of_one_name() -> None:
    with pytest.raises(UserError, match="two models are named 'a'"):
        resolve_models(settings("a=b/c", "a=d/e"), cpu=True)


def test_media_root_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must be a folder"):
        resolve_models(settings("b/c", media_root=str(tmp_path / "none")), cpu=True)


def test_triton_is_refused_where_the_engine_is_for_the_cpu() -> None:
    asked = settings("owner/name", projection_kernels="triton")
    assert resolve_models(asked, cpu=False)
    with pytest.raises(UserError, match="needs a GPU"):
        resolve_models(asked, cpu=True)


def test_e4m3_needs_a_device_or_the_reference_and_a_folder(tmp_path: Path) -> None:
    asked = settings("owner/name", projection_fp8=str(tmp_path))
    assert resolve_models(asked, cpu=False)
    with pytest.raises(UserError, match="needs a GPU with e4m3 numbers"):
        resolve_models(asked, cpu=True)
    assert resolve_models(replace(asked, projection_kernels="reference"), cpu=True)
    with pytest.raises(UserError, match="must be a folder of pictures or sounds"):
        resolve_models(replace(asked, projection_fp8=str(tmp_path / "none")), cpu=False)
