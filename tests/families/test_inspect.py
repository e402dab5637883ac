"""`sensorium inspect` and `sensorium families`: what they print, without torch and at once."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sensorium.model_adapters.audio_models import AUDIO_MODELS
from sensorium.model_adapters.choices import CONVERSATION, FAMILY
from sensorium.model_adapters.conversation import choose_style, stop_texts
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.family_table import families_markdown
from sensorium.model_adapters.folders import VISION_TOWER
from sensorium.model_adapters.language_models.text_models import TEXT_MODELS
from sensorium.model_adapters.registry import families, recognise
from sensorium.serving.cli import families as families_command
from sensorium.serving.cli.main import main
from tests.families.test_registry import LLAVA

ROOT = Path(__file__).resolve().parents[2]
TEXT = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "image_aspect_ratio": "pad",
}


def write_checkpoint(folder: Path, names: list[str], **changes: Any) -> Path:
    """A folder with only a config and an index."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**LLAVA, **TEXT, **changes}))
    index = {
        "metadata": {"total_size": 14_000_000_000},
        "weight_map": dict.fromkeys(names, "w.bin"),
    }
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder


def names(layers: int = 2) -> list[str]:
    parts = [f"model.layers.{layer}.self_attn.q_proj.weight" for layer in range(layers)]
    return [*parts, "lm_head.weight", "model.mm_projector.0.weight"]


def inspect(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = main(["inspect", str(folder), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_reads_a_config_and_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = inspect(write_checkpoint(tmp_path, names()), capsys)
    assert code == 1
    assert found["family"] == "llava"
    assert found["certain"]
    assert found["image_tokens"]["640x480"] == 576
    assert found["weight_bytes"] == 14_000_000_000
    assert found["cache_bytes_per_token"] == 524_288
    assert found["placed"] == {"language_model": 3, "projector": 1}
    assert found["sample"].endswith("USER: <image>\nWhat is this? ASSISTANT:")
    problems = " / ".join(found["problems"])
    for word in ("w.bin", "tokenizer.model", "clip-vit-large-patch14-336"):
        assert word in problems


def test_takes_the_towers_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VISION_TOWER, "")
    tower = tmp_path / "tower"
    tower.mkdir()
    content = {"model_type": "clip_vision_model", "image_size": 28, "patch_size": 14}
    (tower / "config.json").write_text(json.dumps(content))
    folder = write_checkpoint(tmp_path / "model", names())
    monkeypatch.setenv(CONVERSATION, "")
    more = ["--vision-tower", f"model={tower}", "--conversation", "llava_v0"]
    main(["inspect", str(folder), "--json", *more])
    found = json.loads(capsys.readouterr().out)
    assert found["stops"] == ["###"]
    assert found["tower_weights"] == str(tower)
    assert found["image_tokens"]["640x480"] == 4


def test_says_what_is_unknown_and_what_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = [*names(3), "strange.weight"]
    some.remove("model.layers.1.self_attn.q_proj.weight")
    _, found = inspect(write_checkpoint(tmp_path, some), capsys)
    assert found["unknown"] == ["strange.weight"]
    assert "model.layers.1.self_attn.q_proj.weight" in " / ".join(found["problems"])


def test_prints_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_checkpoint(tmp_path, names(), architectures=["NewLlamaForCausalLM"])
    assert main(["inspect", str(folder)]) == 1
    shown = capsys.readouterr().out
    assert "a guess" in shown
    assert "14.0 GB" in shown


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "config.json"),
        ("{", "not valid JSON"),
        ('{"architectures": ["LlamaForCausalLM"]}', "no `mm_vision_tower`"),
        (json.dumps({**LLAVA, "mm_projector_type": "sva"}), "mm_projector_type"),
    ],
)
def test_refuses_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, word: str
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert main(["inspect", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert word in error
    assert error.count("\n") == 1


def test_loads_nothing_heavy(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, names(32))
    code = (
        "import sys; from sensorium.serving.cli.main import main; main(sys.argv[1:]); "
        "print([n for n in ('numpy', 'torch', 'transformers', 'vllm') if n in sys.modules])"
    )
    start = [sys.executable, "-c", code, "inspect", str(folder)]
    done = subprocess.run(start, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("path", "asked", "style"),
    [
        ("/x/someone-7b", "", "vicuna_v1"),
        ("/x/someone-7b", "llava_v0", "llava_v0"),
        ("/x/someone-7b", "other=llava_v0,someone-7b=yi_vl", "yi_vl"),
        ("/h/models--me--someone-7b/snapshots/0a1b", "someone-7b=yi_vl", "yi_vl"),
        ("liuhaotian/llava-llama-2-13b-chat-lightning-preview", "", "llava_llama_2"),
        ("/x/LLaVA-13b-delta-v0", "", "llava_v0"),
        ("/x/llava_plus_v0_7b", "", "llava_v0"),
        ("/x/LLaVA-Lightning-7B-delta-v1-1", "", "llava_v1"),
        ("openbmb/RLAIF-V-7B", "", "llava_v1"),
        ("LinkSoul/Chinese-LLaVA-Cllama2", "", "chinese_llava_llama_2"),
        ("LinkSoul/Chinese-LLaVA-Baichuan", "", "chinese_llava_baichuan"),
    ],
)
def test_the_style_is_asked_for_or_told_by_the_name(
    path: str, asked: str, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONVERSATION, asked)
    match = recognise(LLAVA)
    assert match is not None
    assert choose_style(match, path).name == style


def test_an_unknown_style_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONVERSATION, "vicuna")
    match = recognise(LLAVA)
    assert match is not None
    with pytest.raises(CheckpointError, match="vicuna_v1"):
        choose_style(match, "x")


def test_stop_texts(tmp_path: Path) -> None:
    assert stop_texts(tmp_path) == ()
    write_checkpoint(tmp_path, [])
    assert stop_texts(tmp_path) == ()
    write_checkpoint(tmp_path, [], mm_projector_type="mlp2x_gelu_Norm")
    assert stop_texts(tmp_path) == ("###",)
    assert stop_texts(tmp_path, "slowfast-llava-34b") == ("<|im_end|>",)


class TestFamilies:
    def test_lists_each(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["families", "--json"]) == 0
        listed = [row["family"] for row in json.loads(capsys.readouterr().out)]
        names = [entry.name for entry in families()]
        assert listed == names + [model.name for model in (*TEXT_MODELS, *AUDIO_MODELS)]
        assert main(["families"]) == 0
        assert "yi-vl" in capsys.readouterr().out
        assert families_command.SUMMARY

    def test_each_is_proven(self) -> None:
        for entry in families():
            path = ROOT / entry.load().proof
            bases = [
                base.id
                for node in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(node, ast.ClassDef)
                for base in node.bases
                if isinstance(base, ast.Name)
            ]
            assert {"FamilyProof", "LightProof"} & set(bases), path

    def test_a_spec_is_short(self) -> None:
        specs = set((ROOT / "model_adapters" / "families").glob("*.py"))
        for path in specs - {ROOT / "model_adapters" / "families" / "table.py"}:
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 60, path

    def test_the_page_is_up_to_date(self) -> None:
        page = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
        assert page == families_markdown(), "run `sensorium families --markdown > docs/families.md`"


def test_hugging_faces_layout_is_left_to_vllm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As fireworks-ai/FireLLaVA-13b is published."""
    raw = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "text_config": {"model_type": "llama"},
        "vision_config": {"model_type": "clip_vision_model"},
    }
    (tmp_path / "config.json").write_text(json.dumps(raw))
    assert main(["inspect", str(tmp_path)]) != 0
    told = capsys.readouterr().err
    assert "LlavaForConditionalGeneration" in told
    assert "Hugging Face's layout, which is vLLM's to read" in told


def test_an_unconfirmed_family_is_inspected_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAMILY, "")
    changes = {"model_type": "multimodal_llama", "mm_projector_type": None}
    folder = write_checkpoint(tmp_path / "yuren", names(), **changes)
    raw = json.loads((folder / "config.json").read_text())
    raw["architectures"] = ["MultimodalLlamaForCausalLM"]
    (folder / "config.json").write_text(json.dumps(raw))
    assert main(["inspect", str(folder)]) != 0
    assert "--family yuren" in capsys.readouterr().err
    main(["inspect", str(folder), "--family", "yuren"])
    assert "unconfirmed     its config.json" in capsys.readouterr().out
    main(["families"])
    assert "yuren (multimodal) (unconfirmed)" in capsys.readouterr().out


def test_videos_and_a_family_that_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAMILY, "")
    changes = {
        "image_aspect_ratio": "anyres",
        "image_grid_pinpoints": "[(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)]",
        "mm_patch_merge_type": "spatial_unpad",
    }
    folder = write_checkpoint(tmp_path / "next", names(), **changes)
    main(["inspect", str(folder), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["family"], told["video_tokens"]) == ("llava-next", {})
    main(["inspect", str(folder), "--json", "--family", "slowfast-llava"])
    chosen = json.loads(capsys.readouterr().out)
    assert (chosen["family"], chosen["image_tokens"]) == ("slowfast-llava", {})
    assert chosen["video_tokens"] == {"25 frames": 3280, "50 frames": 3680}
    assert chosen["sample"].startswith("USER: <video>\nThe input consists of")
    main(["inspect", str(folder), "--family", "slowfast-llava"])
    assert "takes no images" in capsys.readouterr().out
