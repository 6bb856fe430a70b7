"""Systems that ours is measured against, in the same run."""
