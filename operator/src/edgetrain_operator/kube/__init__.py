"""Access to the Kubernetes API with plain dicts."""
