"""What a member holds and keeps: parameters as vectors, the ledger, snapshots, checkpoints."""
