"""Transcription measured beside stock vLLM and faster-whisper; see docs/speech.md.

recordings.py   recorded sentences, and long recordings composed of them
errors.py       word error rate, and which clips of a recording were lost
recognisers.py  the three recognisers, each behind one method
command.py      `python -m sensorium.benchmarks.speech`
"""

from __future__ import annotations

__all__: list[str] = []
