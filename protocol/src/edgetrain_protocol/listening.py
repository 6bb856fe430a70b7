"""How a port of ours is listened on."""

import socket


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Without `host`, all addresses are listened on, of both families where the
    system has both; port 0 is any free one.

    Raises:
        OSError: the port is taken.
    """
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, dualstack_ipv6=both)
