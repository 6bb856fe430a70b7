"""What backs every number in the docs: `make bench NAME=recovery`."""
