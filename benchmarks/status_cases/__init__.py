"""Troubles that a job's status must tell of: how each is brought about, and what must be said."""
