"""How one request is sent and its answer timed."""
