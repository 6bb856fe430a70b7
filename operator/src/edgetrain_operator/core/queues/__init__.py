"""Decisions about the jobs of one queue, which share its nodes out between them."""
