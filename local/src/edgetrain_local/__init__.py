"""`edgetrain run`: a job on this machine alone. The operator's own decisions, over processes for pods."""
