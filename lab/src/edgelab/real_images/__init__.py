"""The operator's and the trainer's real images, built here without Docker and without a registry."""
