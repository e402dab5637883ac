"""Recognition by config: the right family, or an error that says what was seen and what is near."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sensorium.model_adapters.choices import FAMILY, with_family
from sensorium.model_adapters.errors import (
    CheckpointError,
    UnconfirmedFamilyError,
    UnknownFamilyError,
)
from sensorium.model_adapters.registry import FAMILY_KEY, Entry, Registry, families, recognise

LLAVA: dict[str, Any] = {
    "architectures": ["LlavaLlamaForCausalLM"],
    "model_type": "llava",
    "mm_vision_tower": "openai/clip-vit-large-patch14-336",
    "mm_projector_type": "mlp2x_gelu",
}

TINYLLAVA: dict[str, Any] = {
    "architectures": ["TinyLlavaForConditionalGeneration"],
    "model_type": "tinyllava",
    "connector_type": "mlp2x_gelu",
    "text_config": {"model_type": "qwen2", "hidden_size": 896},
    "vision_config": {"model_type": "siglip_vision_model", "image_size": 384, "patch_size": 14},
}

VIDEO_LLAVA: dict[str, Any] = {
    "architectures": ["LlavaLlamaForCausalLM"],
    "model_type": "llava",
    "image_aspect_ratio": "pad",
    "mm_image_tower": "LanguageBind/LanguageBind_Image",
    "mm_projector_type": "mlp2x_gelu",
    "mm_video_tower": "LanguageBind/LanguageBind_Video_merge",
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
}
VILA: dict[str, Any] = {
    "architectures": ["LlavaLlamaModel"],
    "model_type": "llava_llama",
    "image_aspect_ratio": "resize",
    "llm_cfg": {"model_type": "llama", "hidden_size": 2560, "rope_theta": 10000.0},
    "mm_projector_cfg": {"model_type": "v2l_projector", "mm_projector_type": "mlp_downsample"},
    "mm_vision_select_feature": "cls_patch",
    "vision_tower_cfg": {
        "model_type": "siglip_vision_model",
        "image_size": 384,
        "patch_size": 14,
        "num_hidden_layers": 27,
    },
}


ULLAVA: dict[str, Any] = {
    "architectures": ["UllavaForCausalLM"],
    "llm_config": {
        "architectures": ["UllavaCoreForCausalLM"],
        "vision_config": {"image_size": 224, "patch_size": 14},
        "vision_hidden_layer": -2,
    },
    "model_type": "ullava",
}
# As a copy of Efficient-Large-Model/VILA-2.7b has it.
VILA_1: dict[str, Any] = {
    "_name_or_path": "./checkpoints/vila-sheared-llama-2.7b-256gpus-mmc4-coyo",
    "architectures": ["LlavaLlamaForCausalLM"],
    "hidden_size": 2560,
    "image_aspect_ratio": "pad",
    "mm_hidden_size": 1024,
    "mm_projector_type": "mlp2x_gelu",
    "mm_use_im_patch_token": False,
    "mm_use_im_start_end": False,
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
    "mm_vision_tower": "openai/clip-vit-large-patch14-336",
    "model_type": "llava_llama",
    "vocab_size": 32000,
}
# As its owner prints that of openbmb/RLAIF-V-7B: RLHF-V/RLAIF-V, issue 26.
RLAIF_V = {**VILA_1, "hidden_size": 4096, "mm_patch_merge_type": "flat", "mm_resampler_type": None}


def config(architecture: str, **changes: Any) -> dict[str, Any]:
    return {**LLAVA, "architectures": [architecture], **changes}


MARCH = {"architectures": ["Moondream"], "phi_config": {"model_type": "phi"}}
PHI_MSFT = {"model_type": "phi-msft"}


def deepseek(tower: str) -> dict[str, Any]:
    siglip = {"model_name": "siglip_large_patch16_384", "image_size": 384}
    sam = {"model_name": "sam_b_downsample", "image_size": 1024}
    two = {"high_res_cfg": sam, "low_res_cfg": siglip}
    return {
        "architectures": ["MultiModalityCausalLM"],
        "model_type": "multi_modality",
        "vision_config": {"cls": tower, "params": two if "Hybrid" in tower else siglip},
        "aligner_config": {"params": {"projector_type": "mlp_gelu", "depth": 2}},
        "language_config": {"num_hidden_layers": 24},
    }


POOLED = {"mm_resampler_type": "spatial_pool", "mm_spatial_pool_mode": "average"}
SIGLIP = "google/siglip-so400m-patch14-384"


def anyres(architecture: str, **changes: Any) -> dict[str, Any]:
    return config(architecture, image_aspect_ratio="anyres", **changes)


def onevision(**changes: Any) -> dict[str, Any]:
    raw = config("LlavaQwenForCausalLM", image_aspect_ratio="anyres_max_9", mm_vision_tower=SIGLIP)
    return {**raw, **changes}


MANTIS: dict[str, Any] = {
    "architectures": ["LlavaForConditionalGeneration"],
    "model_type": "llava",
    "image_token_index": 128256,
    "pad_token_id": 128257,
    "text_config": {"model_type": "llama", "vocab_size": 128258},
    "vision_config": {"model_type": "siglip_vision_model"},
}


def test_other_llavas_of_hugging_face_are_vllms() -> None:
    assert recognise({**MANTIS, "image_token_index": 32000, "pad_token_id": 32001}) is None


@pytest.mark.parametrize(
    ("raw", "family", "language_model"),
    [
        (LLAVA, "llava", "llama"),
        (MANTIS, "mantis", "llama"),
        (config("GLaMMForCausalLM"), "glamm", "llama"),
        (config("FERRETLlamaForCausalLM"), "ferret", "llama"),
        (ULLAVA, "u-llava", "llama"),
        (VILA_1, "llava", "llama"),
        (RLAIF_V, "llava", "llama"),
        (config("LlavaLlamaForCausalLM", mm_projector_type=None), "llava", "llama"),
        (config("LlavaMistralForCausalLM"), "llava", "mistral"),
        (config("Share4VLlamaForCausalLM"), "llava", "llama"),
        (config("LlavaLlamaForCausalLM", image_aspect_ratio="anyres"), "llava-next", "llama"),
        (config("LlavaMistralForCausalLM", image_aspect_ratio="anyres"), "llava-next", "mistral"),
        (config("LlavaLlamaForCausalLM", mm_projector_type="mlp2x_gelu_Norm"), "yi-vl", "llama"),
        (anyres("LlavaLlamaForCausalLM", vocab_size=64000), "llava-next-34b", "llama"),
        (anyres("LlavaLlamaForCausalLM", vocab_size=128256), "llava-next-llama3", "llama"),
        (anyres("LlavaQwenForCausalLM"), "llava-next-qwen", "qwen2"),
        (anyres("LlavaLlamaForCausalLM", **POOLED), "llava-next-video", "llama"),
        (anyres("LlavaMistralForCausalLM", **POOLED), "llava-next-video", "mistral"),
        (
            anyres("LlavaLlamaForCausalLM", vocab_size=64000, **POOLED),
            "llava-next-video-34b",
            "llama",
        ),
        (anyres("LlavaQwenForCausalLM", **POOLED), "llava-next-video-qwen", "qwen2"),
        (anyres("LlavaQwenForCausalLM", mm_vision_tower=SIGLIP), "llava-interleave", "qwen2"),
        (onevision(), "llava-onevision", "qwen2"),
        (onevision(architectures=["Qwen2ForCausalLM"]), "llava-onevision", "qwen2"),
        (onevision(add_time_instruction=False), "llava-onevision", "qwen2"),
        (onevision(add_time_instruction=True), "llava-video", "qwen2"),
        (
            anyres("LlavaLlamaForCausalLM", **{FAMILY_KEY: "slowfast-llava"}),
            "slowfast-llava",
            "llama",
        ),
        (
            anyres("LlavaLlamaForCausalLM", **{FAMILY_KEY: "sharegpt4video"}),
            "sharegpt4video",
            "llama",
        ),
        (VIDEO_LLAVA, "video-llava", "llama"),
        (config("MobileLlamaForCausalLM", mm_projector_type="ldpnet"), "mobilevlm", "llama"),
        (config("MobileLlamaForCausalLM", mm_projector_type="ldpnetv2"), "mobilevlm-v2", "llama"),
        (config("BunnyQwenForCausalLM"), "bunny", "qwen2"),
        (config("BunnyPhiForCausalLM"), "bunny", "phi"),
        (config("BunnyPhi3ForCausalLM"), "bunny", "phi3"),
        (config("BunnyStableLMForCausalLM"), "bunny", "stablelm"),
        (config("BunnyMiniCPMForCausalLM"), "bunny", "llama"),
        (config("BunnyLlamaForCausalLM"), "bunny", "llama"),
        (
            config("LlavaPhiForCausalLM", mm_vision_tower="bczhou/TinyLLaVA-3.1B-SigLIP"),
            "tinyllava-bench",
            "phi",
        ),
        (TINYLLAVA, "tinyllava", "qwen2"),
        (
            config("LlavaLlamaForCausalLM", mm_vision_tower="./pretrained/InternViT-6B-224px"),
            "internvl-chat-1.0",
            "llama",
        ),
        ({"architectures": ["Moondream"], "phi_config": PHI_MSFT}, "moondream1", "phi"),
        ({"architectures": ["Moondream"], "text_config": {}}, "moondream2", "phi"),
        *(
            ({**MARCH, FAMILY_KEY: f"moondream2-2024-{day}"}, f"moondream2-2024-{day}", "phi")
            for day in ("03-06", "03-13", "04-02")
        ),
        ({"architectures": ["MPLUGOwl2LlamaForCausalLM"]}, "mplug-owl2", "llama"),
        (deepseek("CLIPVisionTower"), "deepseek-vl", "llama"),
        (deepseek("HybridVisionTower"), "deepseek-vl-hybrid", "llama"),
        (
            config("LlavaLlamaForCausalLM", mm_vision_tower="ConvLLaVA/ConvLLaVA-ConvNeXt-768"),
            "convllava",
            "llama",
        ),
        (VILA, "vila", "llama"),
        ({**VILA, "llm_cfg": {**VILA["llm_cfg"], "rope_theta": 500000.0}}, "vila-llama-3", "llama"),
        ({**VILA, "vision_tower_cfg": {"model_type": "intern_vit_6b"}}, "vila-40b", "llama"),
    ],
)
def test_recognises(raw: dict[str, Any], family: str, language_model: str) -> None:
    match = recognise(raw)
    assert match is not None
    assert (match.spec.name, match.language_model.config_type) == (family, language_model)
    assert match.certain


def test_names_a_language_model_that_tinyllava_is_not_served_on() -> None:
    with pytest.raises(CheckpointError, match="openelm"):
        recognise({**TINYLLAVA, "text_config": {"model_type": "openelm"}})


def test_refuses_moondreams_that_cannot_be_told_apart() -> None:
    with pytest.raises(CheckpointError, match="--family moondream2-2024-03-06"):
        recognise(MARCH)
    april, march = (
        recognise({**MARCH, FAMILY_KEY: f"moondream2-2024-{day}"}) for day in ("04-02", "03-13")
    )
    later = recognise({"architectures": ["Moondream"], "text_config": {"model_type": "phi"}})
    assert april is not None and march is not None and later is not None
    assert april.config == {**later.config, "image_aspect_ratio": "square"}
    assert march.config["mm_vision_config"]["hidden_act"] == "gelu"
    assert [m.spec.prompts[""].stops for m in (april, march)] == [(), ("<", "END", ">")]


def test_leaves_janus_alone() -> None:
    """It has DeepSeek-VL's architecture name, and makes images."""
    assert recognise({**deepseek("CLIPVisionTower"), "gen_vision_config": {}}) is None


@pytest.mark.parametrize(
    ("name", "language_model"),
    [
        ("SomeonesLlavaMistralForCausalLM", "mistral"),
        ("MyLlavaQwen2ForCausalLM", "qwen2"),
        ("AnotherPhi3VForCausalLM", "phi3"),
        ("XLlamaForCausalLM", "llama"),
    ],
)
def test_reads_unknown_names_with_less_certainty(name: str, language_model: str) -> None:
    match = recognise(config(name))
    assert match is not None
    assert match.language_model.config_type == language_model
    assert not match.certain
    assert name in match.why


def test_leaves_other_layouts_alone() -> None:
    assert recognise({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}) is None
    transformers_layout = {**LLAVA, "vision_config": {}, "text_config": {}}
    assert recognise(transformers_layout) is None


def test_an_unknown_language_model_is_an_error_with_neighbours() -> None:
    with pytest.raises(UnknownFamilyError) as caught:
        recognise(config("BunnyQuokkaForCausalLM", model_type="quokka"))
    assert "BunnyQwenForCausalLM" in str(caught.value)
    assert "'model_type': 'quokka'" in str(caught.value)


def test_names_and_rules_are_unique() -> None:
    registry = Registry()
    registry.add(Entry("one", "m:SPEC", ("A",), {"k": "v"}))
    with pytest.raises(ValueError, match="named 'one'"):
        registry.add(Entry("one", "m:SPEC", ("B",)))
    with pytest.raises(ValueError, match="same configs: A"):
        registry.add(Entry("two", "m:SPEC", ("A", "B"), {"k": "v"}))
    registry.add(Entry("three", "m:SPEC", ("A",)))


def test_an_unknown_name_lists_the_near_ones() -> None:
    with pytest.raises(UnknownFamilyError, match="mobilevlm"):
        families()["mobilvlm"]


def test_every_entry_loads_and_agrees_with_its_spec() -> None:
    for entry in families():
        spec = entry.load()
        assert spec.name == entry.name
        assert spec.read or set(entry.architectures) <= set(spec.language_models)
        assert "" in spec.prompts


def test_a_family_that_is_chosen_must_exist() -> None:
    with pytest.raises(UnknownFamilyError, match="slowfast-llava"):
        recognise({**LLAVA, FAMILY_KEY: "slowfastllava"})


UNSEEN = replace(
    families()["llava"], name="unseen", title="A family nobody saw", unconfirmed="its config.json"
)


@pytest.fixture
def with_unseen() -> Registry:
    registry = Registry()
    registry.add(Entry("unseen", f"{__name__}:UNSEEN", ("LlavaLlamaForCausalLM",)))
    return registry


def test_an_unconfirmed_family_is_served_on_request_only(with_unseen: Registry) -> None:
    with pytest.raises(UnconfirmedFamilyError, match=r"its config\.json.*--family unseen"):
        with_unseen.match(LLAVA)
    match = with_unseen.match({**LLAVA, FAMILY_KEY: "unseen"})
    assert match is not None
    assert match.chosen
    assert "chosen by name" in match.why


@pytest.mark.parametrize(
    ("raw", "family"),
    [
        (config("MultimodalLlamaForCausalLM", model_type="multimodal_llama"), "yuren"),
        (config("VideoChatGPTLlamaForCausalLM", vocab_size=32006), "video-chatgpt"),
        (
            config("LlavaMistralForCausalLM", mm_vision_tower="ikala/ViT-SO400M-14-SigLIP-384-hf"),
            "nous-hermes-2-vision",
        ),
    ],
)
def test_unconfirmed_families_are_told(raw: dict[str, Any], family: str) -> None:
    with pytest.raises(UnconfirmedFamilyError, match=f"--family {family}"):
        recognise(raw)
    match = recognise({**raw, FAMILY_KEY: family})
    assert match is not None
    assert match.spec.name == family


def test_a_family_is_not_forced_on_a_config_that_lacks_its_keys() -> None:
    with pytest.raises(CheckpointError, match="reads phi_config from the config"):
        recognise({**LLAVA, FAMILY_KEY: "moondream1"})


def test_a_family_is_chosen_for_one_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAMILY, "a=mobilevlm, llava-v1.6-34b=slowfast-llava-34b")
    assert with_family(LLAVA, "liuhaotian/llava-v1.6-34b")[FAMILY_KEY] == "slowfast-llava-34b"
    assert with_family(LLAVA, "/models/a")[FAMILY_KEY] == "mobilevlm"
    assert FAMILY_KEY not in with_family(LLAVA, "/models/b")


def test_a_text_model_of_the_same_name_is_not_taken() -> None:
    assert recognise({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}) is None
