"""What turns hints into reconciles: watch, queue, Lease, metrics, and the process itself."""
