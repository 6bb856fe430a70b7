"""Who may connect to a listening socket: the kernel drops all others' packets before it answers them.

A socket filter in classic BPF, as `tcpdump` sets one on its own socket. Linux asks a listener's filter of the
packet that would open a connection too (`tcp_filter`, called by tcp_v4_rcv and tcp_v6_rcv): who is not let in
gets no answer, and costs neither a descriptor nor a place in a queue. It takes no rights. A connection keeps
the filter that its listener had when it came.
"""

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

_SO_ATTACH_FILTER = 26
_IP_HEADER = 0x1_0000_0000 - 0x100000
"""SKF_NET_OFF: counted from here, and not from TCP's header, which is where a socket's filter begins."""
_SOURCE_4, _SOURCE_6 = 12, 8
"""Where the source's address begins in a header of IPv4, of IPv6."""
_LOAD_WORD, _LOAD_BYTE, _SHIFT_RIGHT, _JUMP, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x30, 0x74, 0x05, 0x15, 0x06


class Instruction(NamedTuple):
    """Jumps are so many instructions further than the next one."""

    code: int
    value: int
    if_equal: int = 0
    otherwise: int = 0


Program = tuple[Instruction, ...]

_TAKE, _DROP = Instruction(_RETURN, 0xFFFFFFFF), Instruction(_RETURN, 0)
EVERYBODY: Program = (_TAKE,)
NOBODY: Program = (_DROP,)


def only(addresses: Iterable[str]) -> Program:
    """Lets in who comes from one of these, of IPv4 or IPv6; what is no address is passed over."""
    known = _parsed(addresses)
    fours = [step for ip in known if ip.version == 4 for step in _take_from(ip, _SOURCE_4)]
    sixes = [step for ip in known if ip.version == 6 for step in _take_from(ip, _SOURCE_6)]
    version = (
        Instruction(_LOAD_BYTE, _IP_HEADER),
        Instruction(_SHIFT_RIGHT, 4),
        Instruction(_JUMP_IF_EQUAL, 6, 0, 1),
        # A conditional jump goes no further than 255; this one goes any way.
        Instruction(_JUMP, len(fours) + 1),
    )
    return (*version, *fours, _DROP, *sixes, _DROP)


def attach(listener: socket.socket, program: Program) -> None:
    """In place of what it had.

    Raises:
        OSError: the system has no such filters, or the program is too long for it.
    """
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *_packed(step)) for step in program))
    listener.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code))
    )


def _packed(step: Instruction) -> tuple[int, int, int, int]:
    return step.code, step.if_equal, step.otherwise, step.value


def _take_from(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, offset: int) -> list[Instruction]:
    """Word by word; the first that differs leads past the end of this."""
    words = struct.unpack(f"!{len(ip.packed) // 4}I", ip.packed)
    steps = []
    for number, word in enumerate(words):
        steps.append(Instruction(_LOAD_WORD, _IP_HEADER + offset + 4 * number))
        steps.append(Instruction(_JUMP_IF_EQUAL, word, 0, 2 * (len(words) - number) - 1))
    return [*steps, _TAKE]


def _parsed(addresses: Iterable[str]) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Each once, in one order; an IPv4 address in the clothes of IPv6 comes in packets of IPv4."""
    found = set()
    for text in addresses:
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:
            continue
        found.add(getattr(ip, "ipv4_mapped", None) or ip)
    return sorted(found, key=lambda ip: (ip.version, ip.packed))
