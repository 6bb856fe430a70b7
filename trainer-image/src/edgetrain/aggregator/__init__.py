"""Holds the log of merges and the versions it makes, and serves them to groups: a process without torch."""
