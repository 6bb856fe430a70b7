"""What is fetched from remote stores and pushed to them, by processes of its own (-m edgetrain.remote)."""
