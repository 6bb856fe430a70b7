"""Whose data get through: judged from samples, and from what the kernel says of real connections."""

import socket
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace

from benchmarks.waiting import wait_for
from edgetrain import tcp_info
from edgetrain.engine.formation.silence import (
    LOOK_SECONDS,
    STUCK_SECONDS,
    VAIN_PROBES,
    VAIN_RETRANSMITS,
    Silence,
    is_stuck,
    listen,
)
from edgetrain.tcp_info import TcpInfo

LOST = TcpInfo(
    retransmits=3, probes=0, unacked=4, acked=1000, received=0, delivered=9, early=0, window=65_000
)
"""Of a connection whose packets, or whose acknowledgements, are dropped."""
LOOKS = int(STUCK_SECONDS / LOOK_SECONDS) + 1


def judged(samples: Iterable[TcpInfo], passed: float = LOOK_SECONDS) -> list[bool]:
    """Whether it is stuck, look by look."""
    silence: Silence | None = None
    verdicts = []
    for sample in samples:
        silence = listen(silence, sample, passed)
        verdicts.append(is_stuck(silence, sample))
    return verdicts


def test_silence_is_told_when_it_has_lasted_and_ends_with_the_first_byte() -> None:
    heard = replace(LOST, acked=1001)
    verdicts = judged([*[LOST] * LOOKS, heard, *[heard] * (LOOKS - 1)])
    assert verdicts == [*[False] * (LOOKS - 1), True, *[False] * (LOOKS - 1), True]


def test_a_slow_link_that_still_answers_is_not_stuck() -> None:
    assert not any(judged(replace(LOST, acked=n) for n in range(10 * LOOKS)))
    in_bursts = [replace(LOST, acked=n // (LOOKS - 1)) for n in range(10 * LOOKS)]
    assert not any(judged(in_bursts))
    behind_a_hole = (replace(LOST, delivered=n) for n in range(10 * LOOKS))
    assert not any(judged(behind_a_hole)), "what comes behind a lost packet is acknowledged as well"


def test_the_kernels_own_patience_with_a_long_way_counts() -> None:
    assert not any(judged([replace(LOST, retransmits=VAIN_RETRANSMITS - 1)] * 3 * LOOKS))


def test_a_program_that_does_not_read_is_not_the_link() -> None:
    assert not any(judged([replace(LOST, window=0)] * 3 * LOOKS))
    assert not any(judged([replace(LOST, unacked=0)] * 3 * LOOKS)), "all that was sent has come"
    assert judged([replace(LOST, window=None)] * LOOKS)[-1], "an old kernel does not tell the window"


def test_a_connection_over_which_nothing_goes_is_judged_by_what_it_is_asked() -> None:
    idle = replace(LOST, unacked=0, retransmits=0)
    assert judged([replace(idle, probes=VAIN_PROBES)]) == [True]
    assert judged([replace(idle, probes=VAIN_PROBES - 1)]) == [False]
    assert judged([replace(idle, window=0, probes=VAIN_PROBES)]) == [True], (
        "nobody says that there is no room"
    )


def test_looks_that_come_late_do_not_make_a_silence() -> None:
    assert not any(judged([LOST] * 3, passed=60.0))


def test_the_kernels_structure_is_read_at_its_places() -> None:
    info = bytearray(232)
    info[2], info[3] = 7, 5
    for place, size, value in (
        (24, 4, 11),
        (120, 8, 1 << 40),
        (128, 8, 1 << 41),
        (192, 4, 15),
        (224, 4, 17),
        (228, 4, 13),
    ):
        info[place : place + size] = value.to_bytes(size, "little")
    assert tcp_info.parse(bytes(info)) == TcpInfo(7, 5, 11, 1 << 40, 1 << 41, 15, 17, 13)
    assert tcp_info.parse(bytes(info[:200])).window is None


def test_whoever_does_not_read_closes_the_window_and_nothing_is_on_its_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here, there = socket.create_connection(server.getsockname()), server.accept()[0]
    with closing(here), closing(there):
        here.setblocking(False)

        def full() -> bool:
            try:
                while True:
                    here.send(bytes(1 << 16))
            except BlockingIOError:
                return tcp_info.read(here).window == 0

        wait_for(full, 10)
        info = tcp_info.read(here)
        assert info.unacked == 0
        assert info.acked > 0
        assert tcp_info.read(there).received == info.acked - 1, (
            "the first byte that is acknowledged is the SYN"
        )
        assert not is_stuck(listen(Silence((info.acked, info.delivered), 60.0), info, 1.0), info)
