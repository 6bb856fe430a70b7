"""How much memory asyncio sets aside for a TLS connection."""

from asyncio import sslproto

READ_BYTES = 16 << 10
"""A record. asyncio has 256 KiB for each connection there is, which a thousand workers, or whoever only
connects, would fill half a gigabyte with."""


def keep_small() -> None:
    """All TLS connections of this process's loops have small buffers from now on."""
    sslproto.SSLProtocol.max_size = READ_BYTES
