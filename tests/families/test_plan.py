"""What is read from a config: layers, tokens, tiles; and what is refused, naming the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sensorium.model_adapters.errors import CheckpointError
from sensorium.model_adapters.folders import VISION_TOWER
from sensorium.model_adapters.layouts import NEWLINE
from sensorium.model_adapters.plain_resizing import PLAIN
from sensorium.model_adapters.plan import Plan, make_plan, text_fields
from sensorium.model_adapters.registry import FAMILY_KEY, recognise
from sensorium.model_adapters.weight_names import DROPPED, place, place_tower
from tests.families.test_registry import LLAVA, TINYLLAVA, VIDEO_LLAVA, VILA, config

INSIDE = "model.vision_tower.vision_tower.vision_model."


NEXT = {
    **LLAVA,
    "image_aspect_ratio": "anyres",
    "image_grid_pinpoints": "[(336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008)]",
    "mm_patch_merge_type": "spatial_unpad",
}
ONEVISION = {
    **config("LlavaQwenForCausalLM", mm_vision_tower="google/siglip-so400m-patch14-384"),
    "image_aspect_ratio": "anyres_max_9",
    "image_grid_pinpoints": "(1x1),...,(6x6)",
    "mm_patch_merge_type": "spatial_unpad",
}


def plan(raw: dict[str, Any], folder: Path | None = None) -> Plan:
    match = recognise(raw)
    assert match is not None
    return make_plan(match, folder)


class TestKnownCheckpoints:
    def test_llava_15(self) -> None:
        found = plan({**LLAVA, "image_aspect_ratio": "pad"})
        assert found.tower.layers == 23
        assert found.layout().tokens(640, 480) == 576
        assert found.image.pad_colour == (122, 116, 104)
        assert found.tower.source == "openai/clip-vit-large-patch14-336"

    def test_llava_v1_says_its_projector_and_crop_by_absent_keys(self) -> None:
        raw = {**LLAVA, "mm_vision_tower": "openai/clip-vit-large-patch14"}
        del raw["mm_projector_type"]
        found = plan(raw)
        assert (found.projector.kind, found.image.aspect) == ("linear", "crop")
        assert found.layout().tokens(640, 480) == 256

    def test_mobilevlm(self) -> None:
        for projector in ("ldpnet", "ldpnetv2"):
            raw = config("MobileLlamaForCausalLM", mm_projector_type=projector)
            assert plan({**raw, "image_aspect_ratio": "pad"}).layout().tokens(9, 9) == 144

    def test_bunny_takes_every_patch_of_the_last_layer_but_one(self) -> None:
        raw = config("BunnyPhiForCausalLM", mm_vision_tower="/models/siglip-so400m-patch14-384")
        found = plan({**raw, "image_aspect_ratio": "pad"})
        assert (found.tower.layers, found.layout().tokens(1, 1)) == (26, 729)
        assert found.image.pad_colour == (127, 127, 127)

    def test_bunny_11_sees_three_scales(self) -> None:
        raw = config("BunnyLlamaForCausalLM", mm_vision_tower="google/siglip-so400m-patch14-384")
        found = plan({**raw, "image_aspect_ratio": "pad", "use_s2": True})
        assert (found.tower.scales, found.image.size) == ((384, 768, 1152), 1152)
        assert found.layout().tokens(1, 1) == 729
        with pytest.raises(CheckpointError, match="s2_scales"):
            plan({**raw, "use_s2": True, "s2_scales": "336,672"})

    def test_tinyllava_loses_a_patch(self) -> None:
        found = plan(TINYLLAVA)
        assert (found.tower.layers, found.layout().tokens(1, 1)) == (11, 728)
        assert (found.text_architecture, found.image.aspect) == ("Qwen2ForCausalLM", "crop")

    @pytest.mark.parametrize(("size", "tokens"), [(768, 144), (1024, 256), (1536, 576)])
    def test_convllava(self, size: int, tokens: int) -> None:
        raw = {
            **LLAVA,
            "image_aspect_ratio": "pad",
            "mm_vision_select_layer": -1,
            "mm_vision_tower": f"ConvLLaVA/ConvLLaVA-ConvNeXt-{size}",
        }
        assert plan(raw).layout().tokens(9, 9) == tokens
        assert plan({**raw, "mm_vision_resolution": 512}).image.size == 512
        for key, value in (("vision_add_five_stage", 6), ("mm_vision_select_layer", -2)):
            with pytest.raises(CheckpointError, match=key):
                plan({**raw, key: value})

    def test_vila_joins_four_features_of_a_squeezed_picture(self) -> None:
        found = plan(VILA)
        assert (found.tower.layers, found.layout().tokens(1, 1)) == (26, 196)
        assert (found.image.resize, found.image.size) == ("squash", 384)
        scales = {"s2": True, "s2_scales": "384,768", "s2_max_split_size": 384}
        assert plan({**VILA, **scales}).image.size == 768
        for changes, message in (
            ({**scales, "s2_max_split_size": 192}, "s2_max_split_size"),
            ({"llm_cfg": "./llm"}, "llm_cfg"),
            ({"llm_cfg": {"model_type": "qwen2"}}, "qwen2"),
            ({"vision_tower_cfg": {"model_type": "radio"}}, "radio"),
            ({"mm_projector_cfg": {"mm_projector_type": "mlp_downsample_2x2_fix"}}, "2x2_fix"),
        ):
            with pytest.raises(CheckpointError, match=message):
                plan({**VILA, **changes})

    @pytest.mark.parametrize(
        ("size", "tokens"),
        [((672, 672), 2928), ((336, 336), 576 + 24 * 25), ((1000, 500), 576 + 24 * 49)],
    )
    def test_llava_next(self, size: tuple[int, int], tokens: int) -> None:
        assert self.next_plan().layout().tokens(*size) == tokens

    def test_llava_next_counts_at_most_the_largest(self) -> None:
        found = self.next_plan()
        most = found.layout().tokens(*found.layout().largest())
        sizes = [(width, height) for width in range(1, 900, 37) for height in range(1, 900, 41)]
        assert all(0 < found.layout().tokens(*size) <= most for size in sizes)

    @pytest.mark.parametrize(
        ("size", "tokens"),
        [
            ((384, 384), 729 + 27 * 28),
            ((768, 768), 729 + 54 * 55),
            # 6 x 6 tiles are made as large as nine: 81 x 81.
            ((2304, 2304), 729 + 81 * 82),
        ],
    )
    def test_onevision(self, size: tuple[int, int], tokens: int) -> None:
        found = plan(ONEVISION)
        assert found.layout().tokens(*size) == len(found.layout().rows(*size)) == tokens
        among = found.layout(several=True)
        assert among.tokens(*size) == len(among.rows(*size)) == 730
        assert found.frame_layout().tokens(32) == 32 * 196 + 1

    def test_onevision_counts_at_most_the_largest(self) -> None:
        layout = plan(ONEVISION).layout()
        most = layout.tokens(*layout.largest())
        sizes = [(width, height) for width in range(1, 3000, 97) for height in range(1, 3000, 89)]
        assert all(0 < layout.tokens(*size) <= most for size in sizes)

    def test_llava_video(self) -> None:
        changes = {
            "add_time_instruction": True,
            "force_sample": True,
            "mm_newline_position": "grid",
        }
        found = plan({**ONEVISION, **changes})
        assert found.video is not None
        assert (found.video.frames, found.video.sampling, found.video.times) == (
            64,
            "uniform",
            True,
        )
        # 182 where frames are averaged, 210 where the config says bilinear.
        assert found.frame_layout().tokens(64) == 64 * 13 * 14
        bilinear = plan({**ONEVISION, **changes, "mm_spatial_pool_mode": "bilinear"})
        assert bilinear.frame_layout().tokens(64) == 64 * 14 * 15

    def test_videos_of_llava_next(self) -> None:
        raw = {**NEXT, "mm_resampler_type": "spatial_pool"}
        assert plan(raw).frame_layout().tokens(32) == 32 * 144
        slow_fast = plan({**NEXT, FAMILY_KEY: "slowfast-llava"})
        assert slow_fast.frame_layout().tokens(50) == 3680
        assert plan({**NEXT, FAMILY_KEY: "sharegpt4video"}).frame_layout().tokens(16) == 576

    def test_video_chatgpt(self) -> None:
        base = {
            **LLAVA,
            "mm_projector_type": "linear",
            "mm_vision_tower": "openai/clip-vit-large-patch14",
            "vocab_size": 32003,
        }
        layout = plan({**base, FAMILY_KEY: "video-chatgpt"}).frame_layout()
        assert (layout.tokens(7), layout.tokens(100)) == (356, 356)
        assert list(layout.arrange(7).rows[6:9]) == [7 * 256 + 6, NEWLINE, NEWLINE]

    def test_video_llava(self) -> None:
        found = plan(VIDEO_LLAVA)
        video = found.towers["video"]
        assert (found.tower.source, video.source) == (
            "LanguageBind/LanguageBind_Image",
            "LanguageBind/LanguageBind_Video_merge",
        )
        assert (found.tower.layers, video.layers) == (23, 23)
        assert (found.image.resize, found.pixels_of("video_tower").resize) == PLAIN
        assert found.image.aspect == "crop"
        assert found.layout().tokens(640, 480) == 256
        assert {found.frame_layout().tokens(frames) for frames in (1, 8, 30)} == {8 * 257}
        assert Plan.from_dict(json.loads(json.dumps(found.to_dict()))) == found

    def next_plan(self) -> Plan:
        return plan(NEXT)


def test_a_plan_survives_json() -> None:
    found = TestKnownCheckpoints().next_plan()
    assert Plan.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_text_fields_are_the_language_models() -> None:
    fields = text_fields({**LLAVA, "hidden_size": 8, "torch_dtype": "float16", "use_mm_proj": True})
    assert fields == {"hidden_size": 8}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mm_projector_type": "sva"}, "mm_projector_type"),
        ({"image_aspect_ratio": "highres"}, "image_aspect_ratio"),
        ({"image_aspect_ratio": "anyres"}, "mm_patch_merge_type"),
        ({"add_faster_video": True}, "add_faster_video"),
        ({"mm_vision_select_layer": -99}, "mm_vision_select_layer"),
        ({"mm_vision_select_feature": "slicefour"}, "mm_vision_select_feature"),
        ({"mm_vision_tower": "someone/odd-tower"}, "someone/odd-tower"),
        ({**VIDEO_LLAVA, "mm_use_im_start_end": True}, "mm_use_im_start_end"),
        ({**VIDEO_LLAVA, "mm_video_tower": "someone/odd-tower"}, "`mm_video_tower`"),
        ({"use_s2": True}, "use_s2"),
    ],
)
def test_refuses_naming_the_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        plan({**LLAVA, **changes})


class TestTowerPlaces:
    def tower(self, folder: Path, **config: Any) -> Path:
        folder.mkdir(parents=True)
        content = {"model_type": "clip_vision_model", "image_size": 28, "patch_size": 14, **config}
        (folder / "config.json").write_text(json.dumps(content))
        return folder

    def test_inside_beside_and_overridden(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checkpoint = tmp_path / "model"
        checkpoint.mkdir()
        raw = {**LLAVA, "mm_vision_tower": "/gone/tower"}
        beside = self.tower(tmp_path / "tower")
        assert plan(raw, checkpoint).tower.folder == str(beside)
        inside = self.tower(checkpoint / "tower")
        assert plan(raw, checkpoint).tower.folder == str(inside)
        other = self.tower(tmp_path / "other")
        monkeypatch.setenv(VISION_TOWER, f"else={tmp_path}/nowhere,tower={other}")
        assert plan(raw, checkpoint).tower.folder == str(other)
        monkeypatch.setenv(VISION_TOWER, f"model={beside}")
        assert plan(raw, checkpoint).tower.folder == str(beside)
        monkeypatch.setenv(VISION_TOWER, str(tmp_path / "nowhere"))
        with pytest.raises(CheckpointError, match="nowhere"):
            plan(raw, checkpoint)

    def test_a_tower_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        self.tower(tmp_path / "tower", model_type="siglip2_vision_model")
        with pytest.raises(CheckpointError, match="siglip2"):
            plan({**LLAVA, "mm_vision_tower": "tower"}, tmp_path)


class TestWeightNames:
    found = plan(LLAVA)

    @pytest.mark.parametrize(
        ("name", "target"),
        [
            ("lm_head.weight", "language_model.lm_head.weight"),
            ("model.norm.weight", "language_model.model.norm.weight"),
            ("model.mm_projector.0.bias", "projector.0.bias"),
            (
                f"{INSIDE}pre_layrnorm.bias",
                "vision_tower.vision_model.pre_layrnorm.bias",
            ),
            ("model.layers.0.self_attn.rotary_emb.inv_freq", DROPPED),
            (f"{INSIDE}encoder.layers.23.mlp.fc1.bias", DROPPED),
            (f"{INSIDE}post_layernorm.bias", DROPPED),
        ],
    )
    def test_place(self, name: str, target: str) -> None:
        placement = place(name, self.found)
        assert placement is not None
        assert placement.target == target

    def test_unknown(self) -> None:
        assert place("extra.weight", self.found) is None

    def test_a_towers_own_files(self) -> None:
        assert place_tower("text_model.final_layer_norm.bias", self.found.tower).target == DROPPED
        kept = place_tower("vision_model.encoder.layers.22.mlp.fc1.bias", self.found.tower)
        assert kept.target == "vision_tower.vision_model.encoder.layers.22.mlp.fc1.bias"
