"""The formation that a trainer is in: its process group, and what its members do together."""
