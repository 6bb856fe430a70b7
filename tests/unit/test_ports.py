"""A port is given to one server alone, long before that listens."""

import socket
import subprocess
import sys

from edgetrain_local.ports import STRETCH, free_port, free_ports

ASKS = f"""
from edgetrain_local.ports import free_ports
print(free_ports({STRETCH}), flush=True)
input()
"""


def test_no_port_is_given_twice_though_none_of_them_is_listened_on() -> None:
    one_by_one = [free_port() for _ in range(STRETCH + 1)]
    together = free_ports(STRETCH)
    assert len({*one_by_one, *together}) == 2 * STRETCH + 1


def test_processes_at_one_time_give_different_ports() -> None:
    ends = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    others = [subprocess.Popen([sys.executable, "-c", ASKS], **ends) for _ in range(2)]  # type: ignore[call-overload]
    theirs = [other.stdout.readline() for other in others]
    ours = str(free_ports(STRETCH))
    for other in others:
        other.communicate("\n")
    given = [int(port) for said in (*theirs, ours) for port in said.strip().strip("[]").split(", ")]
    assert len(set(given)) == len(given) == 3 * STRETCH


def test_a_port_that_somebody_listens_on_is_not_given() -> None:
    coming = free_port() + 1
    with socket.create_server(("127.0.0.1", coming)):
        assert coming not in free_ports(STRETCH)
