"""Rounds between groups, pure: the log of merges, the council that holds it, and a group's part in both.

No sockets, no torch, no clock: times and events are arguments, what to do is returned. Nothing runs
it yet but tests/model, which explores it exhaustively.
"""
