"""Whisper: its languages, the layouts its checkpoints come in, and its model class in the engine.

languages.py   codes and names of the 100 languages
facts.py       sizes and timestamps, the same in every layout
layouts.py     OpenAI's, Hugging Face's or CTranslate2's layout, told apart without weights
openai.py      OpenAI's original `.pt` rewritten as a Hugging Face checkpoint
vocabulary_files.py  a tokenizer for checkpoints that come without one
ready.py       whatever the layout, a folder that the engine can load
model.py       vLLM's model with a memory of the windows it has encoded
worker.py      cross-attention of finished text, for the times of words
"""

from __future__ import annotations

__all__: list[str] = []
