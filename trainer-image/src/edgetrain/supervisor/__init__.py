"""The torch-free parent of the user's program: sockets, processes and files around `edgetrain.group`."""
