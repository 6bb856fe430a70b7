"""Runs a module or a program of ours whose pods take each other's word and encrypt nothing: what encryption
is measured against.

    python -m benchmarks.programs.unencrypted MODULE_OR_FILE ARGUMENT...
"""

import asyncio
import os
import runpy
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from edgetrain import credentials
from edgetrain.supervisor import streams
from edgetrain_protocol.identity import Identity
from edgetrain_protocol.names import Env


class Unencrypted(credentials.Credentials):
    """In place of certificates, what the environment says that this pod is."""

    ours: Identity

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        made = super().from_env(env)
        made.ours = Identity(*(env.get(name, "-") for name in (Env.JOB_UID, Env.WORKER, Env.POD_UID)))
        return made

    @property
    def server(self) -> Any:
        return self.ours

    @property
    def client(self) -> Any:
        return self.ours

    def peer_of(self, connection: Any) -> Identity:
        said: Identity = connection
        return said

    def admit(self, connection: socket.socket) -> Any:
        return connection.dup()

    def dial(self, connection: socket.socket, worker: str = "") -> Any:
        return connection.dup()


@dataclass(frozen=True)
class Told(streams.Stream):
    """Between supervisors: who the other end says that it is."""

    who: Identity

    @property
    def tls(self) -> Any:
        return self.who


async def exchanged(connection: socket.socket, context: Any) -> streams.Stream:
    """In place of a handshake: each end says who it is. `context` is our identity."""
    streams.tune(connection)
    reader, writer = await asyncio.open_connection(sock=connection)
    writer.write(f"{context.uri}\n".encode())
    line = await reader.readline()
    return Told(reader, writer, Identity.from_uri(line.decode().strip()))


def main() -> None:
    credentials.Credentials = Unencrypted  # type: ignore[misc]
    streams.admitted = streams.dialled = exchanged
    del sys.argv[0]
    if sys.argv[0].endswith(".py"):
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
