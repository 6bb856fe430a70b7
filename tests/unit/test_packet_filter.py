"""Who is let through to a listening socket by the kernel, and who finds nothing there."""

import socket
from contextlib import closing

import pytest

from edgetrain.engine.formation.packet_filter import EVERYBODY, NOBODY, Program, attach, only

PATIENCE = 0.3
"""Seconds; on loopback a connection stands at once, or never."""
FOUR, SIX, BOTH = "127.0.0.2", "::1", "::"
"""Addresses to listen on."""
MANY = [f"10.9.0.{number}" for number in range(200)]
"""More than a conditional jump goes past."""
NEARLY = ["8000::1", "::1:0:0:1", "::1:0:1", "::2"]
"""Each differs from ::1 in one of its four words."""


def listening(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, 0), family=family, dualstack_ipv6=address == BOTH)


def dialling(listener: socket.socket, source: str) -> socket.socket:
    """A connection from `source`.

    Raises:
        TimeoutError: nothing answers.
    """
    six = ":" in source
    connection = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
    try:
        connection.settimeout(PATIENCE)
        connection.bind((source, 0))
        connection.connect((SIX if six else FOUR, listener.getsockname()[1]))
    except OSError:
        connection.close()
        raise
    return connection


def reaches(listener: socket.socket, source: str) -> bool:
    try:
        dialling(listener, source).close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("address", [FOUR, BOTH])
@pytest.mark.parametrize(
    ("admitted", "source", "comes_in"),
    [
        (["127.0.0.3"], "127.0.0.3", True),
        (["127.0.0.3"], "127.0.0.66", False),
        (["127.0.0.3", "::1"], "127.0.0.66", False),
        (["::ffff:127.0.0.3"], "127.0.0.3", True),
        ([*MANY, "127.0.0.3", *NEARLY], "127.0.0.3", True),
        ([*MANY, "127.0.0.3", *NEARLY], "127.0.0.66", False),
        (["worker-3", "", "127.0.0.3"], "127.0.0.3", True),
        ([], "127.0.0.2", False),
    ],
)
def test_of_ipv4(address: str, admitted: list[str], source: str, comes_in: bool) -> None:
    with listening(address) as listener:
        attach(listener, only(admitted))
        assert reaches(listener, source) is comes_in


@pytest.mark.parametrize("address", [SIX, BOTH])
@pytest.mark.parametrize(
    ("admitted", "comes_in"),
    [
        ([*MANY, *NEARLY, "::1"], True),
        ([*MANY, *NEARLY], False),
        # As words of IPv4 these are in the packet, at places that mean something else.
        (["0.0.0.1", "0.0.0.0"], False),
    ],
)
def test_of_ipv6(address: str, admitted: list[str], comes_in: bool) -> None:
    with listening(address) as listener:
        attach(listener, only(admitted))
        assert reaches(listener, "::1") is comes_in


@pytest.mark.parametrize(("after", "comes_in"), [(EVERYBODY, True), (NOBODY, False)])
def test_what_is_attached_last_counts_and_connections_that_stand_go_on(
    after: Program, comes_in: bool
) -> None:
    with listening(FOUR) as listener:
        attach(listener, only(["127.0.0.3"]))
        with closing(dialling(listener, "127.0.0.3")) as ours, closing(listener.accept()[0]) as theirs:
            attach(listener, after)
            assert reaches(listener, "127.0.0.66") is comes_in
            ours.sendall(b"still here")
            assert theirs.recv(10) == b"still here"


def test_a_program_that_is_too_long_is_refused_and_what_was_attached_stays() -> None:
    with listening(FOUR) as listener:
        attach(listener, only(["127.0.0.3"]))
        with pytest.raises(OSError):
            attach(listener, only(f"10.{n // 250}.{n % 250}.1" for n in range(5000)))
        assert not reaches(listener, "127.0.0.66")
