"""A job that queues by Kueue: what its Workload says, and what is written into it."""
