"""Configs of other shapes, rewritten into LLaVA's flat keys: what a spec's `read` names."""
