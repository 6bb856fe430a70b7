"""The group's protocol, pure: votes, formations, succession, steps in doubt.

No sockets, no torch, no clock: times and events are arguments, actions are returned. The supervisor
runs it; tests/model explores it exhaustively.
"""
