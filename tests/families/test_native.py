"""Families of vLLM: the same model answers the same with our operators and with vLLM's code."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sensorium.kernels import runtime
from sensorium.kernels.accuracy import TOLERANCE, relative_error
from sensorium.kernels.fold import unfold_to_squares
from sensorium.kernels.fp8 import FOLDER_VARIABLE, OPERATION, Fp8Linear, largest_error
from sensorium.kernels.selection import KernelUnavailableError
from sensorium.model_adapters.demo import SAMPLES
from sensorium.model_adapters.engine.prepared import PreparedImage
from sensorium.model_adapters.engine.runner_buffer import TARGET
from sensorium.model_adapters.picture_rules import read_rule
from tests.families.native_checkpoints import NATIVE, PREPARED_ONLY
from tests.families.native_deepseek import build_small_tower
from tests.families.served import Answer, Served
from tests.families.tiny import draw

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]
CLOSE = 5e-4
# Which operators a family's features and its prompt have to pass.
OPERATORS = {
    "llava": {"pack_rows", "embed_merge"},
    "llava_next": {"pack_rows", "embed_merge"},
    "internvl": {"gather_norm", "embed_merge"},
    "idefics3": {"pack_rows", "embed_merge"},
    "smolvlm": {"pack_rows", "embed_merge"},
    "qwen2_vl": {"gather_norm", "embed_merge"},
    "qwen2_5_vl": {"gather_norm", "embed_merge"},
    "mistral3": {"gather_norm", "embed_merge"},
    "deepseek_vl2": {"pack_rows", "embed_merge"},
    "gemma3": {"gather_norm", "embed_merge"},
    "paligemma": {"embed_merge"},
    "qwen2_audio": {"gather_norm", "embed_merge"},
}

# Layers of the projector that can compute in e4m3; Gemma-3's is one parameter without a layer.
LINEAR_LAYERS = {
    "llava": 2,
    "llava_next": 2,
    "internvl": 2,
    "idefics3": 1,
    "smolvlm": 1,
    "qwen2_vl": 2,
    "qwen2_5_vl": 2,
    "mistral3": 3,
    "deepseek_vl2": 2,
    "gemma3": 0,
    "paligemma": 1,
    "qwen2_audio": 1,
}

# Families whose pictures are made by media workers to the last step.
PREPARED = tuple(name for name in NATIVE if name not in ("deepseek_vl2", "qwen2_audio"))
# pytest sorts tests by the place of their parameter: first here, so that a family has one engine.
FAMILIES = (*PREPARED, *(name for name in NATIVE if name not in PREPARED))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def served(family: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("native") / family
    from vllm.model_executor.model_loader.dummy_loader import DummyModelLoader

    def load(self: Any, model: Any, config: Any) -> None:
        redraw(model)
        if LINEAR_LAYERS[family]:
            model.fp8.remember(model)
        else:
            with pytest.raises(KernelUnavailableError, match="has no linear layers"):
                model.fp8.remember(model)
        model.asked, model.fp8 = model.fp8, None  # until the tests of equality are done

    NATIVE[family](folder)
    with pytest.MonkeyPatch.context() as patch, runtime.forced("reference"):
        # Before vLLM packs them for the CPU: what is written afterwards would not be computed with.
        patch.setattr(DummyModelLoader, "load_weights", load)
        patch.setenv(FOLDER_VARIABLE, str(SAMPLES))
        if family == "deepseek_vl2":
            build_small_tower(patch)
        limits = {"image": 1 if family == "paligemma" else 2, "audio": 2}
        engine = Served(folder, load_format="dummy", limit_mm_per_prompt=limits)
    yield engine
    engine.close()


def redraw(model: Any) -> None:
    """Weights wide enough that answers depend on what is seen."""
    for seed, (name, parameter) in enumerate(model.named_parameters()):
        shape = tuple(parameter.shape)
        if parameter.ndim >= 2:
            value = draw(shape, seed, 1.5 / parameter[0].numel() ** 0.5)
        else:
            value = draw(shape, seed, 0.1) + (0 if name.endswith("bias") else 1)
        parameter.data.copy_(value)


def media(family: str, seed: int) -> dict[str, Any]:
    if family == "qwen2_audio":
        samples = draw((16000 * (1 + seed % 2) + 1234,), seed, 0.3).numpy()
        return {"audio": (samples, 16000)}
    from PIL import Image

    height, width = ((70, 150), (120, 60), (56, 56))[seed % 3]
    pixels = (draw((height, width, 3), seed) * 60 + 128).clamp(0, 255).byte().numpy()
    return {"image": Image.fromarray(pixels)}


def prompts(served: Served, family: str) -> list[dict[str, Any]]:
    """One, two and no media, where a prompt takes two."""
    tokenizer = served.llm.get_tokenizer()
    made = []
    for number, count in enumerate((1, 1 if family == "paligemma" else 2, 0)):
        items = [media(family, number + n) for n in range(count)]
        kinds = [{"type": next(iter(item))} for item in items]
        content = [*kinds, {"type": "text", "text": "What is in the image?"}]
        text = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
        prompt: dict[str, Any] = {"prompt": text}
        if items:
            kind = kinds[0]["type"]
            prompt["multi_modal_data"] = {kind: [item[kind] for item in items]}
        made.append(prompt)
    return made


def switch(model: Any) -> list[tuple[Any, type]]:
    """Make every replaced object of the model vLLM's own; returns what makes them ours again."""
    changed = []
    for module in model.modules():
        ours = type(module)
        if ours.__module__.startswith("sensorium."):
            theirs = next(base for base in ours.__mro__ if base.__module__.startswith("vllm."))
            if hasattr(module, "reorder"):
                published_order(module)
            module.__class__ = theirs
            changed.append((module, ours))
    return changed


def switch_back(changed: list[tuple[Any, type]]) -> None:
    for module, kind in changed:
        module.__class__ = kind
        if hasattr(module, "reorder"):
            module.reorder()


def published_order(module: Any) -> None:
    """Undo what our class did to a weight when it was loaded."""
    if hasattr(module, "patch_merger"):  # Mistral-3's
        weight, edge = (
            module.patch_merger.merging_layer.weight,
            module.patch_merger.spatial_merge_size,
        )
    else:
        weight, edge = module.layers[0].weight, module.cfg.downsample_ratio
    columns = torch.arange(weight.shape[1]).float().view(1, -1)
    order = unfold_to_squares(columns, edge)[0].long()
    ours = weight.data.clone()
    weight.data[:, order] = ours


def forget(served: Served) -> None:
    served.llm.reset_prefix_cache()
    served.llm.llm_engine.reset_mm_cache()
    served.llm.llm_engine.reset_encoder_cache()


def answers(served: Served, family: str) -> list[Answer]:
    forget(served)
    return [served.generate(prompt, tokens=8) for prompt in prompts(served, family)]


def prepared(served: Served, prompt: dict[str, Any]) -> dict[str, Any]:
    """The prompt with its pictures as media workers prepare them."""
    from vllm.multimodal.media.base import MediaWithBytes

    recipe = served.llm.llm_engine.renderer.mm_processor.recipe
    pictures = []
    for picture in prompt["multi_modal_data"]["image"]:
        rule = read_rule(recipe)
        assert rule is not None
        pixels = rule.prepare(np.array(picture), picture.size)
        image = PreparedImage(picture.size, pixels, recipe)
        pictures.append(MediaWithBytes(image, picture.tobytes()))
    return {**prompt, "multi_modal_data": {"image": pictures}}


def place(rows: torch.Tensor) -> tuple[int, torch.Size]:
    return rows.data_ptr(), rows.shape


def test_pictures_of_qwen3_vl_from_a_worker_give_the_same_answer(tmp_path: Path) -> None:
    """Its class computes as vLLM's. The first test here: no other engine runs beside it."""
    PREPARED_ONLY["qwen3_vl"](tmp_path / "qwen3_vl")
    served = Served(tmp_path / "qwen3_vl", load_format="dummy", limit_mm_per_prompt={"image": 2})
    try:
        served.llm.apply_model(redraw)
        one, two, _ = prompts(served, "qwen3_vl")
        whole = [served.generate(prompt, tokens=8) for prompt in (one, two)]
        forget(served)
        ours = [served.generate(prepared(served, prompt), tokens=8) for prompt in (one, two)]
        assert ours == whole
        assert whole[0].top[0] != whole[1].top[0]
    finally:
        served.close()


def test_answers_are_those_of_vllm(
    served: Served, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, buffer = served.runner.model, served.inputs_embeds
    written = []

    def embed(*args: Any, **options: Any) -> torch.Tensor:
        rows: torch.Tensor = type(model).embed_input_ids(model, *args, **options)
        written.append(place(rows) == place(buffer[: len(rows)]))
        return rows

    monkeypatch.setattr(model, "embed_input_ids", embed)
    before = runtime.calls()
    ours = answers(served, family)
    monkeypatch.undo()
    ran = {key[:2] for key, count in runtime.calls().items() if count > before.get(key, 0)}
    assert OPERATORS[family] <= {op for op, _ in ran}
    assert written
    assert all(written)
    assert (TARGET, "runner's buffer") in ran
    assert not {(TARGET, "own tensor"), ("embed_merge", "vllm")} & ran
    changed: list[tuple[Any, type]] = []
    served.llm.apply_model(lambda model: changed.extend(switch(model)))
    try:
        assert changed
        between = runtime.calls()
        theirs = answers(served, family)
        assert runtime.calls() == between
    finally:
        switch_back(changed)
    # Media and texts must matter, or equality would say nothing.
    firsts = [max(answer.top[0].values()) for answer in ours]
    assert min(abs(a - b) for a, b in combinations(firsts, 2)) > 10 * CLOSE
    for one, other in zip(ours, theirs, strict=True):
        assert one.tokens == other.tokens
        for step, reference in zip(one.top, other.top, strict=True):
            for token, value in reference.items():
                assert step[token] == pytest.approx(value, abs=CLOSE)


@pytest.mark.parametrize("family", PREPARED, indirect=True, scope="module")
def test_pictures_from_a_worker_give_the_same_answer(served: Served, family: str) -> None:
    forget(served)
    prompt = prompts(served, family)[family != "paligemma"]  # two pictures where it takes two
    whole = served.generate(prompt, tokens=8)
    forget(served)
    assert served.generate(prepared(served, prompt), tokens=8) == whole


def test_merges_go_into_the_buffer_of_vllms_second_runner(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM's class itself, which a GPU uses; a step with media, and one without."""
    from vllm.v1.worker.gpu.mm.encoder_cache import EncoderCache
    from vllm.v1.worker.gpu.mm.encoder_runner import EncoderRunner

    model, hidden = served.runner.model, served.inputs_embeds.shape[1]
    device = served.inputs_embeds.device
    runner = EncoderRunner(model, 16, hidden, EncoderCache(), torch.float32, device)
    seen: list[torch.Tensor] = []

    def embed(*args: Any, **options: Any) -> torch.Tensor:
        seen.append(type(model).embed_input_ids(model, *args, **options))
        return seen[-1]

    monkeypatch.setattr(model, "embed_input_ids", embed)
    ids = torch.arange(20, 29, dtype=torch.int32, device=device)
    is_media = torch.tensor([0, 1, 1, 1, 0, 1, 1, 0, 0], dtype=torch.bool)
    media = [draw((rows, hidden), rows).to(device) for rows in (3, 2)]
    steps = ((media, is_media), ([], is_media & False))
    ours = [runner.get_inputs_embeds(ids, *step)[: len(ids)].clone() for step in steps]
    assert [place(rows) for rows in seen] == [place(runner.inputs_embeds[: len(ids)])] * 2
    monkeypatch.undo()
    changed = switch(model)
    try:
        theirs = [runner.get_inputs_embeds(ids, *step)[: len(ids)].clone() for step in steps]
    finally:
        switch_back(changed)
    assert not torch.equal(theirs[0], theirs[1])
    for one, other in zip(ours, theirs, strict=True):
        assert relative_error(one, other.double()) < TOLERANCE[torch.float32]


def test_features_are_those_of_vllm(served: Served, family: str) -> None:
    """Batches of media of several sizes, compared row by row before the language model."""
    seen: list[dict[str, Any]] = []

    def record(model: Any) -> None:
        theirs = model.embed_multimodal

        def recording(**inputs: Any) -> Any:
            seen.append(inputs)
            return theirs(**inputs)

        model.embed_multimodal = recording

    served.llm.apply_model(record)
    answers(served, family)
    served.llm.apply_model(lambda model: delattr(model, "embed_multimodal"))
    assert seen

    def compare(model: Any) -> float:
        worst = 0.0
        with torch.inference_mode():
            for inputs in seen:
                ours = list(model.embed_multimodal(**inputs))
                changed = switch(model)
                theirs = list(model.embed_multimodal(**inputs))
                switch_back(changed)
                pairs = zip(ours, theirs, strict=True)
                worst = max(worst, *(relative_error(a, b.double()) for a, b in pairs))
        return worst

    [worst] = served.llm.apply_model(compare)
    assert worst < TOLERANCE[torch.float32]


def outlier(module: Any, inputs: Any, features: torch.Tensor) -> torch.Tensor:
    """One channel so large that the others vanish beside it in e4m3."""
    features = features.clone()
    features[..., 0] += 3e5
    return features


def decision(asked: Any, model: Any) -> tuple[str, str]:
    before = runtime.calls()
    with runtime.forced("reference"):
        asked.decide(model)
    [(implementation, reason)] = [
        key[1:]
        for key, count in runtime.calls().items()
        if key[0] == OPERATION and count > before.get(key, 0)
    ]
    return implementation, reason


def fp8_layers(model: Any) -> int:
    return sum(isinstance(module, Fp8Linear) for module in model.modules())


def test_features_in_e4m3_are_near(served: Served, family: str) -> None:
    """The last test of each engine, whose projector stays as it is made here."""

    def refuse(model: Any) -> tuple[tuple[str, str], int]:
        asked = copy.copy(model.asked)
        asked._weights = {path: (w.clone(), bias) for path, (w, bias) in asked._weights.items()}
        asked._weights["multi_modal_projector.linear_1"][0][:, 0] = 0
        hook = model.vision_tower.register_forward_hook(outlier)
        decided = decision(asked, model)
        hook.remove()
        return decided, fp8_layers(model)

    def switch_on(model: Any) -> tuple[tuple[str, str], int]:
        return decision(model.asked, model), fp8_layers(model)

    if not LINEAR_LAYERS[family]:
        assert served.llm.apply_model(fp8_layers) == [0]
        return
    if family == "llava":
        [((implementation, reason), layers)] = served.llm.apply_model(refuse)
        assert (implementation, layers) == ("model's dtype", 0)
        assert "are allowed" in reason
    before = answers(served, family)
    [((implementation, reason), layers)] = served.llm.apply_model(switch_on)
    assert implementation == "e4m3", reason
    assert layers == LINEAR_LAYERS[family]
    measured = float(reason.partition("errs by ")[2].partition("%")[0]) / 100
    assert 0.01 < measured <= largest_error(layers)
    with runtime.forced("reference"):
        after = answers(served, family)
    assert after[0].top[0] != before[0].top[0]
    assert after[2].tokens == before[2].tokens  # a prompt of text alone
