"""How many words make a token of this model, asked of the server itself."""

from __future__ import annotations

import time
from dataclasses import replace

from sensorium.benchmarks.client.http import HttpClient
from sensorium.benchmarks.measure.record import RequestRecord
from sensorium.benchmarks.workload.settings import WorkloadSettings
from sensorium.benchmarks.workload.wire import DataWire
from sensorium.benchmarks.workload.workload import Workload

__all__ = ["words_per_token"]

_FEW, _MANY = 8, 40


async def words_per_token(http: HttpClient, settings: WorkloadSettings) -> float | None:
    """Words per token, from the prompt tokens of a short and a longer text.

    The difference leaves out what the chat template adds. None when the server does not count or
    refuses; transcriptions have no text.
    """
    if settings.endpoint == "transcriptions" or settings.prompts:
        return None
    counts = []
    for words in (_FEW, _MANY):
        text_only = replace(
            settings,
            images=None,
            sounds=None,
            clips=None,
            files=(),
            output_tokens=1,
            input_tokens=words,
            words_per_token=1.0,
        )
        record = RequestRecord(-1, 0.0)
        request = Workload(text_only, DataWire()).request(-1)
        await http.send(request, record, time.perf_counter())
        if not record.ok or not record.input_tokens:
            return None
        counts.append(record.input_tokens)
    if counts[1] <= counts[0]:
        return None
    return (_MANY - _FEW) / (counts[1] - counts[0])
