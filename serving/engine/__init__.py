"""Everything that touches vLLM's insides: arguments, engines, metrics, media connector."""
