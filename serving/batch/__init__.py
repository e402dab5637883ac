"""Batches: many requests from a file, each answered once, whatever happens on the way."""
