"""Ports for servers that are started as programs of their own."""

import errno
import random
import socket
from pathlib import Path

LOWEST = 20000


def free_ports(count: int) -> list[int]:
    """Ports free just now; all held until all are known, so that they differ.

    They lie below those that the kernel gives to connections: between this call and the moment the
    program listens, a connection that somebody opens could take one of those.
    """
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    # Where the kernel gives those too, none are better than others.
    below = range(LOWEST, first_of_kernel) or (0,)
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            try:
                held.append(socket.create_server(("127.0.0.1", random.choice(below))))
            except OSError as taken:
                if taken.errno != errno.EADDRINUSE:
                    raise
        return [int(sock.getsockname()[1]) for sock in held]
    finally:
        for sock in held:
            sock.close()


def free_port() -> int:
    (port,) = free_ports(1)
    return port
