"""Settings: four places, one order of precedence, and errors that say what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensorium.model_adapters.choices import CONVERSATION, FAMILY, choice
from sensorium.model_adapters.folders import VISION_TOWER, named_folders
from sensorium.serving.cli.main import split_unknown
from sensorium.serving.errors import UserError
from sensorium.serving.settings import ModelRequest, ServeSettings, hand_down, load_settings


def load(
    rest: tuple[str, ...] = (), environment: dict[str, str] | None = None, **line: Any
) -> ServeSettings:
    return load_settings(line, rest, environment or {})


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "settings.yaml"
        path.write_text(text)
        return str(path)

    return write


class TestPrecedence:
    def test_defaults(self) -> None:
        settings = load()
        assert (settings.host, settings.port, settings.models) == ("127.0.0.1", 8000, ())
        assert settings.engine_options == ()

    def test_line_over_environment_over_file(self, file: Any) -> None:
        config = file("port: 1\nhost: a\ndrain-timeout: 5\n")
        environment = {"SENSORIUM_PORT": "2", "SENSORIUM_HOST": "b"}
        settings = load(environment=environment, config=config, port="3")
        assert (settings.port, settings.host, settings.drain_timeout) == (3, "b", 5.0)

    def test_engine_options_come_weakest_first(self, file: Any) -> None:
        config = file("max_model_len: 1\nmax-num-seqs: 4\nenable-prefix-caching: false\n")
        environment = {"SENSORIUM_MAX_MODEL_LEN": "2"}
        settings = load(("--swap", "x"), environment, config=config, max_model_len="3")
        assert settings.engine_options == (
            "--max-model-len", "1", "--max-num-seqs", "4", "--no-enable-prefix-caching",
            "--max-model-len", "2", "--max-model-len", "3", "--swap", "x",
        )  # fmt: skip

    def test_keys_from_the_environment_are_split(self) -> None:
        assert load(environment={"SENSORIUM_API_KEY": "a, b"}).api_key == ("a", "b")

    def test_limits_in_short(self) -> None:
        settings = load(limit_mm_per_prompt="image=4,video=1")
        assert settings.engine_options == ("--limit-mm-per-prompt", '{"image": 4, "video": 1}')


class TestModels:
    @pytest.mark.parametrize(
        ("text", "name", "source"),
        [
            ("eyes=./a=b", "eyes", "./a=b"),
            ("Qwen/Qwen2-VL", None, "Qwen/Qwen2-VL"),
            ("./runs/lr=3/model", None, "./runs/lr=3/model"),
        ],
    )
    def test_name_and_source(self, text: str, name: str | None, source: str) -> None:
        assert ModelRequest.parse(text) == ModelRequest(name, source)

    def test_from_a_file_with_options_of_their_own(self, file: Any) -> None:
        config = file("models:\n  eyes: ./a\n  ears: {model: b/c, dtype: float32}\n")
        assert load(config=config).models == (
            ModelRequest("eyes", "./a"),
            ModelRequest("ears", "b/c", ("--dtype", "float32")),
        )

    def test_several_names_for_one_model(self, file: Any) -> None:
        config = file("models:\n  eyes: {model: b/c, served_model_name: [a, b]}\n")
        (request,) = load(config=config).models
        assert request == ModelRequest("eyes", "b/c", (), ("a", "b"))

    def test_line_replaces_those_of_the_file(self, file: Any) -> None:
        settings = load(config=file("models: [a/b]"), models=["c/d"])
        assert settings.models == (ModelRequest(None, "c/d"),)


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("port: x", "`port`"),
            ("port: 70000", "between 0 and 65535"),
            ("log-level: loud", "'loud'"),
            ("device: tpu", "'tpu'"),
            ("projection-kernels: fast", "auto, triton or reference, got 'fast'"),
            ("models: 3", "list of models"),
            ("models: {a: {dtype: x}}", "needs `model: PATH_OR_ID`"),
            ("models: {a: {model: b, family: 3}}", "`family` of model 'a' must be a text, got 3"),
            ("models: {a: {model: b, family: x=y}}", "one value without NAME="),
            ("models: {a: {model: b, vision-tower: 'c,d'}}", "comma, got 'c,d'"),
            (
                "models: {a: {model: b, family: x}, c: {model: b, family: y}}",
                "b is served twice with different",
            ),
            ("limit-mm-per-prompt: image=many", "image=4,video=1"),
            ("- a", "`option: value`"),
            ("a: [", "not valid YAML"),
            ("public-metrics: perhaps", "`public-metrics`"),
            ("max-body-mb: 0", "positive"),
        ],
    )
    def test_in_a_file(self, file: Any, text: str, words: str) -> None:
        with pytest.raises(UserError) as raised:
            load(config=file(text))
        assert words in str(raised.value)

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="cannot read"):
            load(config=str(tmp_path / "none.yaml"))

    def test_one_name_for_two_models(self) -> None:
        with pytest.raises(UserError, match="NAME=PATH"):
            load(models=["a/b", "c/d"], served_model_name=["x"])


def test_values_of_unknown_options_are_not_taken_for_models() -> None:
    known = {"--port"}
    line = ["m", "--max-num-seqs", "4", "--port", "1", "--flag", "--temp=-1", "-O3"]
    ours, unknown = split_unknown(line, known)
    assert ours == ["m", "--port", "1"]
    assert unknown == ["--max-num-seqs", "4", "--flag", "--temp=-1", "-O3"]


def test_folders_reach_the_engine_as_variables() -> None:
    settings = load(
        vision_tower=["/a", "eyes=/b"],
        family=["eyes=slowfast-llava"],
        environment={"SENSORIUM_BASE_MODEL": "x=/c,/d"},
    )
    assert settings.vision_tower == ("/a", "eyes=/b")
    assert settings.base_model == ("x=/c", "/d")
    environment: dict[str, str] = {"SENSORIUM_BASE_MODEL": "kept"}
    hand_down(replace(settings, base_model=()), environment)
    assert environment == {
        "SENSORIUM_BASE_MODEL": "kept",
        "SENSORIUM_FAMILY": "eyes=slowfast-llava",
        "SENSORIUM_VISION_TOWER": "/a,eyes=/b",
        "SENSORIUM_PROJECTION_KERNELS": "auto",
    }


def test_two_models_of_a_file_choose_for_themselves(
    file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down to what the readers of their checkpoints find, over what is said for all models."""
    one, two, tower, other = (tmp_path / name for name in ("one", "two", "tower", "other"))
    for folder in (tower, other):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    config = file(
        f"vision-tower: {other}\nmodels:\n"
        f"  a: {{model: {one}/, family: slowfast-llava, vision_tower: {tower}}}\n"
        f"  b: {{model: {two}, family: mobilevlm, conversation: llava_v0}}\n"
        f"  c: {{model: {tmp_path}/three, vision-tower: [eyes={tower}]}}\n"
    )
    for name in (FAMILY, CONVERSATION, VISION_TOWER):
        monkeypatch.setenv(name, "")
    hand_down(load(config=config))
    assert [choice(FAMILY, str(it)) for it in (one, two)] == ["slowfast-llava", "mobilevlm"]
    assert [choice(CONVERSATION, str(it)) for it in (one, two)] == [None, "llava_v0"]
    assert named_folders(VISION_TOWER, ["openai/clip", str(one)]) == [tower, other]
    assert named_folders(VISION_TOWER, ["openai/clip", str(two)]) == [other]
    three = str(tmp_path / "three")
    assert named_folders(VISION_TOWER, ["some/eyes", three]) == [tower, other]
    assert named_folders(VISION_TOWER, ["some/eyes", str(two)]) == [other]
    assert named_folders(VISION_TOWER, ["some/ears", three]) == [other]


def test_the_line_chooses_kernels_over_the_environment() -> None:
    environment = {"SENSORIUM_PROJECTION_KERNELS": "triton"}
    assert load(environment=environment).projection_kernels == "triton"
    settings = load(environment=environment, projection_kernels="reference")
    hand_down(settings, environment)
    assert environment == {"SENSORIUM_PROJECTION_KERNELS": "reference"}


def test_the_folder_for_e4m3_reaches_the_engine() -> None:
    environment: dict[str, str] = {}
    hand_down(load(projection_fp8="/media"), environment)
    assert environment["SENSORIUM_PROJECTION_FP8"] == "/media"
