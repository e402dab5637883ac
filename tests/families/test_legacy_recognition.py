"""What is read from the configs of old language models alone, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sensorium.model_adapters.conversation import stop_texts
from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.language_models import (
    AQUILA,
    BAICHUAN,
    GPT_NEOX,
    INTERNLM,
    LLAMA,
    QWEN,
    QWEN2,
    TRANSLATIONS,
    XVERSE,
    guess_language_model,
)
from sensorium.model_adapters.language_models.text_models import (
    TEXT_MODELS,
    find_text_model,
    style_of,
)
from sensorium.model_adapters.spec import LanguageModel
from sensorium.serving.cli.main import main
from tests.families.legacy_checkpoints import qwen_config

ROOT = Path(__file__).resolve().parents[2]
BAICHUAN_7B: dict[str, Any] = {
    "architectures": ["BaiChuanForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "max_position_embeddings": 4096,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "vocab_size": 64000,
}
AQUILA_7B = {**BAICHUAN_7B, "architectures": ["AquilaForCausalLM"], "num_key_value_heads": 8}


def folder(path: Path, raw: dict[str, Any], **files: Any) -> Path:
    (path / "config.json").write_text(json.dumps(raw))
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


def fields(path: Path) -> dict[str, Any]:
    found = find_text_model(path)
    assert found is not None
    raw, model = found
    assert model.language_model.translation is not None
    return model.language_model.translation.fields(raw)


class TestFields:
    def test_qwen(self, tmp_path: Path) -> None:
        found = fields(folder(tmp_path, qwen_config(seq_length=8192, rotary_emb_base=1e6)))
        assert found["intermediate_size"] == 192
        assert found["max_position_embeddings"] == 8192
        assert (found["rope_theta"], found["rms_norm_eps"]) == (1e6, 1e-6)

    def test_aquila_keeps_its_groups(self, tmp_path: Path) -> None:
        scaling = {"type": "linear", "factor": 8.0}
        found = fields(folder(tmp_path, {**AQUILA_7B, "rope_scaling": scaling}))
        assert found["num_key_value_heads"] == 8
        assert found["rope_scaling"] == scaling

    def test_meta_llama_2_70b(self, tmp_path: Path) -> None:
        params = {"dim": 8192, "multiple_of": 4096, "ffn_dim_multiplier": 1.3, "n_heads": 64}
        params |= {"n_kv_heads": 8, "n_layers": 80, "norm_eps": 1e-5, "vocab_size": 32000}
        (tmp_path / "params.json").write_text(json.dumps(params))
        (tmp_path / "consolidated.00.pth").touch()
        found = fields(tmp_path)
        assert found["intermediate_size"] == 28672
        assert found["num_key_value_heads"] == 8

    def test_meta_llama_7b(self, tmp_path: Path) -> None:
        params = {"dim": 4096, "multiple_of": 256, "n_heads": 32, "n_layers": 32}
        params |= {"vocab_size": 32000}
        (tmp_path / "params.json").write_text(json.dumps({**params, "norm_eps": 1e-6}))
        (tmp_path / "consolidated.00.pth").touch()
        assert fields(tmp_path)["intermediate_size"] == 11008
        assert fields(tmp_path)["max_position_embeddings"] == 2048

    @pytest.mark.parametrize(
        ("raw", "wanted"),
        [
            (qwen_config(no_bias=False), "`no_bias` is False"),
            (qwen_config(kv_channels=64), "`kv_channels` is 64"),
            (qwen_config(quantization_config={"quant_method": "gptq"}), "quantization_config"),
            ({**BAICHUAN_7B, "hidden_act": "gelu"}, "`hidden_act` is 'gelu'"),
            (
                {**BAICHUAN_7B, "architectures": ["BaichuanForCausalLM"]}
                | {"max_position_embeddings": None, "model_max_length": 4096},
                "ALiBi",
            ),
            ({**BAICHUAN_7B, "architectures": ["XverseForCausalLM"], "num_experts": 64}, "experts"),
        ],
        ids=["bias", "head size", "GPTQ", "activation", "Baichuan-13B", "XVERSE-MoE"],
    )
    def test_refuses(self, tmp_path: Path, raw: dict[str, Any], wanted: str) -> None:
        with pytest.raises(CheckpointError, match=wanted):
            fields(folder(tmp_path, raw))


@pytest.mark.parametrize(
    "raw",
    [
        {"architectures": ["LlamaForCausalLM"]},
        qwen_config(visual={"width": 1664}),
        qwen_config(audio={"n_mels": 80}),
        {**BAICHUAN_7B, "mm_vision_tower": "openai/clip-vit-large-patch14"},
        {},
    ],
    ids=["Llama", "Qwen-VL", "Qwen-Audio", "a LLaVA", "nothing"],
)
def test_leaves_other_checkpoints_alone(tmp_path: Path, raw: dict[str, Any]) -> None:
    assert find_text_model(folder(tmp_path, raw)) is None


def test_leaves_mistral_s_own_layout_alone(tmp_path: Path) -> None:
    params = {"dim": 4096, "n_layers": 32, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32}
    (tmp_path / "params.json").write_text(json.dumps(params))
    (tmp_path / "consolidated.00.pth").touch()
    assert find_text_model(tmp_path) is None


class TestTranslation:
    @pytest.mark.parametrize("name", TRANSLATIONS)
    def test_names_go_there_and_back(self, name: str) -> None:
        translation = TRANSLATIONS[name]
        stems = [*translation.outer]
        stems += [f"{translation.layers}7.{part}" for part in translation.parts]
        for stem in stems:
            targets = translation.targets(f"{stem}.weight")
            assert {translation.original(target) for target in targets} == {f"{stem}.weight"}

    def test_qwen_s_gate_is_w2(self) -> None:
        targets = TRANSLATIONS["qwen"].targets
        assert targets("transformer.h.3.mlp.w2.weight") == ("model.layers.3.mlp.gate_proj.weight",)
        assert targets("transformer.h.3.attn.c_attn.bias") == tuple(
            f"model.layers.3.self_attn.{part}_proj.bias" for part in "qkv"
        )

    def test_computed_tables_go_nowhere(self) -> None:
        assert TRANSLATIONS["meta-llama"].targets("rope.freqs") == ()
        name = "model.layers.0.self_attn.rotary_emb.inv_freq"
        assert TRANSLATIONS["internlm"].targets(name) == ()
        assert TRANSLATIONS["gpt_neox"].targets("gpt_neox.layers.0.attention.bias") == ()
        dense = "gpt_neox.layers.0.attention.dense.bias"
        assert TRANSLATIONS["gpt_neox"].targets(dense) != ()


@pytest.mark.parametrize(
    ("architecture", "model"),
    [
        ("LlavaQWenForCausalLM", QWEN),
        ("LlavaQwenForCausalLM", QWEN2),
        ("LlavaInternLMForCausalLM", INTERNLM),
        ("LlavaInternLM2ForCausalLM", None),
        ("LlavaBaichuanForCausalLM", BAICHUAN),
        ("LlavaXverseForCausalLM", XVERSE),
        ("LlavaAquilaForCausalLM", AQUILA),
        ("LlavaGPTNeoXForCausalLM", GPT_NEOX),
        ("LlavaLlamaForCausalLM", LLAMA),
    ],
)
def test_guesses(architecture: str, model: LanguageModel | None) -> None:
    assert guess_language_model(architecture, "") is model


class TestConversations:
    @pytest.mark.parametrize(
        ("raw", "generation", "name"),
        [
            (qwen_config(), {"chat_format": "chatml"}, "qwen_chatml"),
            (qwen_config(), {"chat_format": "raw"}, None),
            (BAICHUAN_7B, {}, None),
            ({**AQUILA_7B, "architectures": ["AquilaModel"]}, {}, "aquila-chat"),
            (AQUILA_7B, {}, "aquila-v1"),
            ({**AQUILA_7B, "num_hidden_layers": 60}, {}, "aquila-legacy"),
            ({**AQUILA_7B, "max_position_embeddings": 16384}, {}, "aquila"),
        ],
    )
    def test_style(
        self, tmp_path: Path, raw: dict[str, Any], generation: dict[str, Any], name: str | None
    ) -> None:
        path = folder(tmp_path, raw, generation_config=generation)
        found = find_text_model(path)
        assert found is not None
        style = style_of(path, *found)
        assert (None if style is None else style.name) == name
        assert stop_texts(path) == (() if style is None else style.stops)

    def test_internlm_20b(self, tmp_path: Path) -> None:
        raw = {**BAICHUAN_7B, "architectures": ["InternLMForCausalLM"], "num_hidden_layers": 60}
        found = find_text_model(folder(tmp_path, raw))
        assert found is not None
        style = style_of(tmp_path, *found)
        assert style is not None
        assert style.name == "internlm_chat_20b"


class TestInspect:
    def inspect(self, path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
        code = main(["inspect", str(path), "--json"])
        return code, json.loads(capsys.readouterr().out)

    def write(self, path: Path, names: list[str]) -> Path:
        folder(path, qwen_config())
        index = {"metadata": {"total_size": 5_000_000}, "weight_map": dict.fromkeys(names, "w.bin")}
        (path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        return path

    def test_reads_a_config_and_an_index(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        names = [f"transformer.h.{layer}.attn.c_attn.weight" for layer in range(3)]
        names += ["transformer.h.0.mlp.w1.weight", "transformer.h.2.mlp.w1.weight"]
        names += ["transformer.rotary_emb.inv_freq"]
        code, found = self.inspect(self.write(tmp_path, names), capsys)
        assert code == 1
        assert (found["family"], found["context"]) == ("qwen", 2048)
        assert found["language_model"] == "Qwen2ForCausalLM"
        assert (found["placed"], found["dropped"]) == (5, 1)
        assert found["weight_bytes"] == 5_000_000
        assert found["cache_bytes_per_token"] == 2 * 2 * 3 * 128
        assert found["problems"] == [
            "weight files that the index names are absent: w.bin (with 6 tensors, "
            "transformer.h.0.attn.c_attn.weight and on)",
            "1 tensors are absent from layers: transformer.h.1.mlp.w1.weight",
            "no tokenizer file (qwen.tiktoken)",
        ]

    def test_writes_a_text(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inspect", str(self.write(tmp_path, []))]) == 1
        text = capsys.readouterr().out
        assert "qwen: Qwen" in text
        assert "2048 tokens" in text
        assert "qwen_chatml" in text

    def test_says_what_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        folder(tmp_path, qwen_config(no_bias=False))
        assert main(["inspect", str(tmp_path)]) == 2
        assert "no_bias" in capsys.readouterr().err


def test_each_text_model_is_proven() -> None:
    for model in TEXT_MODELS:
        proof = (ROOT / model.proof).read_text(encoding="utf-8")
        assert f'checkpoint = "{_CHECKPOINTS[model.name]}"' in proof, model.name


_CHECKPOINTS = {model.name: model.name for model in TEXT_MODELS} | {"meta-llama": "meta"}
