"""The profiler: a sidecar that measures its node and its links, and reports outwards. Free of torch."""
