"""`make demo`: a job trains in the lab through a power cut, a join and a choked aggregator."""
