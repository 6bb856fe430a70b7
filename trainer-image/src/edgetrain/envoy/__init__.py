"""Speaks for a group in rounds: reads the log of merges, pushes updates, fetches versions. Without torch.

Nothing of a job leads here yet: no plan names a holder.
"""
