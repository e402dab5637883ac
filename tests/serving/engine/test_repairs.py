"""vLLM's faults that our server mends, and that they are still there to be mended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soxr
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]


def spaced_tokenizer() -> Any:
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({"<unk>": 0, "▁one": 1, "▁two": 2}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def test_a_row_that_no_token_has_gets_an_empty_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.tokenizers import detokenizer_utils

    from sensorium.serving.engine.repairs import name_rows_without_tokens

    theirs = detokenizer_utils._restore_leading_spaces
    monkeypatch.setattr(detokenizer_utils, "_restore_leading_spaces", theirs)
    tokenizer = spaced_tokenizer()
    with pytest.raises(TypeError):
        detokenizer_utils.convert_ids_list_to_tokens(tokenizer, [1, 7])
    name_rows_without_tokens()
    found = detokenizer_utils.convert_ids_list_to_tokens(tokenizer, [1, 7, 2])
    assert found == [" one", "", " two"]


def test_a_request_makes_no_processor_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.renderers import chat_utils

    from sensorium.serving.engine.repairs import share_processor

    tracker_class = chat_utils.BaseMultiModalItemTracker
    monkeypatch.setattr(tracker_class, "mm_processor", tracker_class.mm_processor)
    asked: list[tuple[str, int]] = []
    info = SimpleNamespace(validate_num_items=lambda kind, count: asked.append((kind, count)))
    processor = SimpleNamespace(info=info)

    def config() -> Any:
        return SimpleNamespace(hf_config=SimpleNamespace(), multimodal_config=None)

    served, other = config(), config()
    renderer = SimpleNamespace(mm_processor=processor)
    share_processor(SimpleNamespace(renderer=renderer, model_config=served))

    tracker = chat_utils.AsyncMultiModalItemTracker(served)
    assert tracker.mm_processor is processor
    tracker._validate_add("image")
    assert asked == [("image", 1)]
    made = object()
    monkeypatch.setattr(chat_utils.MULTIMODAL_REGISTRY, "create_processor", lambda config: made)
    assert chat_utils.AsyncMultiModalItemTracker(other).mm_processor is made


def test_sounds_are_resampled_without_torchaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.multimodal import audio
    from vllm.utils.import_utils import PlaceholderModule

    from sensorium.serving.engine.repairs import resample_without_torchaudio

    monkeypatch.setattr(audio, "torchaudio", PlaceholderModule("torchaudio"))
    monkeypatch.setattr(audio, "resample_audio_torchaudio", audio.resample_audio_torchaudio)
    noise = np.random.default_rng(0).normal(0, 0.1, 44_100).astype(np.float32)
    resampler = audio.AudioResampler(16_000)
    with pytest.raises(ImportError):
        resampler.resample(noise, orig_sr=44_100)
    assert resample_without_torchaudio()
    found = resampler.resample(noise, orig_sr=44_100)
    assert np.array_equal(found, soxr.resample(noise, 44_100, 16_000, quality="HQ"))
