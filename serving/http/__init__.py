"""The HTTP side of the server: one outer ASGI app in front of one vLLM app per model."""
