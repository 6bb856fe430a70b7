"""Decisions: pure functions over frozen data. No I/O, no clock, no logging."""
