"""The step engine: everything that touches torch."""
