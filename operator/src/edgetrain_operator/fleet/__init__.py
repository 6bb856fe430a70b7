"""The fleet API: reports in, plans out, over TLS with the operator's own CA."""
