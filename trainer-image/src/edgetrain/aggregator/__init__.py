"""Holds the log of merges and the versions it makes, and serves them to groups: a process without torch.

Nothing of a job leads here yet: no plan names a holder.
"""
