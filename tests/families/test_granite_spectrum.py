"""Granite Speech's spectrum equals an independent one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.families.tiny import draw

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("default")]
RATE, WINDOW, HOP, POINTS, BANDS = 16_000, 400, 160, 512, 80


@pytest.mark.parametrize("count", [RATE, 12_345])
def test_it_is_that_of_transformers_audio_utils(count: int) -> None:
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    from sensorium.model_adapters.engine.native.granite_speech import MelSpectrum

    samples = draw((count,), 3, 0.3)
    ours = MelSpectrum(RATE, POINTS, WINDOW, HOP, BANDS)(samples[None])[0]
    filters = mel_filter_bank(POINTS // 2 + 1, BANDS, 0.0, RATE / 2, RATE, None, "htk")
    theirs = spectrogram(
        samples.numpy(),
        window_function(WINDOW, "hann"),
        WINDOW,
        HOP,
        POINTS,
        mel_filters=filters,
        power=2.0,
        mel_floor=0.0,
    )
    assert ours.shape == theirs.shape
    assert torch.allclose(ours.double(), torch.from_numpy(np.asarray(theirs)).double(), rtol=1e-4)
