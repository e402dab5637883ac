"""Measurements without a server: media on their way to pixels, and the engine alone."""
