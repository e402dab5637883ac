"""Test kit: stand-ins that let the server be tested without an engine."""
