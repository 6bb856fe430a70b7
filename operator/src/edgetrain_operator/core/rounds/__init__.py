"""Groups of a job that train one model in rounds: who holds the log of merges, what is heard of it."""
