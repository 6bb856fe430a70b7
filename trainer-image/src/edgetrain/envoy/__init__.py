"""Speaks for a group in rounds: reads the log of merges, pushes updates, fetches versions. Without torch."""
