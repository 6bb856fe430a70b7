"""TLS streams between supervisors, on asyncio."""

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass

SHUTDOWN_SECONDS = 2.0
"""For the peer's farewell, which a dark one never sends."""


@dataclass(frozen=True)
class Stream:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def tls(self) -> ssl.SSLObject:
        shaken: ssl.SSLObject = self.writer.get_extra_info("ssl_object")
        return shaken


async def connected(host: str, port: int) -> socket.socket:
    """Raises:
    OSError: nobody is there.
    """
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        await loop.sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def dialled(connection: socket.socket, context: ssl.SSLContext) -> Stream:
    """Over a connection that we made. Raises OSError, as `admitted`."""
    return await _shaken(connection, context, server=False)


async def admitted(connection: socket.socket, context: ssl.SSLContext) -> Stream:
    """Over a connection that somebody made to us.

    Raises:
        OSError: the other end shows no certificate from an authority of ours, speaks no TLS, or hung up.
    """
    return await _shaken(connection, context, server=True)


async def _shaken(connection: socket.socket, context: ssl.SSLContext, *, server: bool) -> Stream:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    try:
        tune(connection)
        if server:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=context, ssl_shutdown_timeout=SHUTDOWN_SECONDS
            )
        else:
            transport, _ = await loop.create_connection(
                lambda: protocol,
                sock=connection,
                ssl=context,
                server_hostname="",
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
    except BaseException:
        # Not closed: the loop does that, and watches its number until then. Whatever was given that number
        # meanwhile, such as the link to a program, would never be read.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        raise
    return Stream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


def tune(connection: socket.socket) -> None:
    """For small messages that do not wait for each other, from an end that may go dark."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
