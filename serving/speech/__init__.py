"""Transcription with Whisper models: /v1/audio/transcriptions and /v1/audio/translations.

    request.py      form fields -> a checked request
    recording.py    a sound or video file -> 16 kHz samples on disk, by the media workers
    features.py     samples -> log-mel spectra, a window at a time; loudness.py: where it is quiet
    pauses.py       what is left out of long pauses, and the times of the rest put back
    whisper.py      what must be known of a checkpoint; vocabulary.py: its tokens
    rules.py        which tokens may be chosen; carried into the engine
    window.py       one window's text, written again where it is doubtful
    segments.py     its tokens -> segments with times; words.py: words with times
    sequential.py   window after window; chunks.py: pieces side by side, and how they are joined
    transcriber.py  a recording -> its segments, in either way
    answers.py      segments -> json, text, srt, vtt, verbose_json, events
    app.py          the two routes; description.py: what /openapi.json says of them

The engine's side is `serving/engine/whisper_engine.py` (requests) and `whisper_sampling.py`
(rules), and `model_adapters/whisper/` (the model, and where it listened while it wrote).
"""

from __future__ import annotations

__all__: list[str] = []
