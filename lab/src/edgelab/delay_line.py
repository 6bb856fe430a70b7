"""A link whose packets take their time or are lost, where the kernel has no netem: they pass this process.

Run by its path, without the package: SECONDS LOSS NAMESPACE DEVICE NAMESPACE DEVICE. Makes both devices and
carries what comes in at one to the other until either is removed.
"""

import errno
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field

TUN = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST_PACKET = 65_536
_AT_ONCE = 64
"""Packets that are read before those that are due get their turn."""
_PRIORITY = -10
"""Before the programs that talk over it: their work is no part of the line's delay."""


@dataclass
class Direction:
    source: int
    target: int
    seconds: float
    loss: float
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)

    def take(self) -> None:
        """What has come in.

        Raises:
            OSError: the device is gone.
        """
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(self.source, _LARGEST_PACKET)
            except BlockingIOError:
                return
            if random.random() >= self.loss:
                self.waiting.append((time.monotonic() + self.seconds, packet))

    def pass_on(self) -> None:
        now = time.monotonic()
        while self.waiting and self.waiting[0][0] <= now:
            try:
                os.write(self.target, self.waiting.popleft()[1])
            except OSError as failed:
                # A device that is down or full loses packets, as any does.
                if failed.errno == errno.EBADFD:
                    raise


def _device(namespace: str, name: str) -> int:
    """Its descriptor. Made here and moved: one that was made there would keep its namespace from going."""
    device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    made = fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"edgelab%d", _IFF_TUN | _IFF_NO_PI))
    given = made[:16].rstrip(b"\0").decode()
    subprocess.run(["ip", "link", "set", "dev", given, "netns", namespace, "name", name], check=True)
    return device


def _carry(there: Direction, back: Direction) -> None:
    ways = {there.source: there, back.source: back}
    while True:
        first = min((way.waiting[0][0] for way in ways.values() if way.waiting), default=None)
        rest = None if first is None else max(first - time.monotonic(), 0.0)
        for source in select.select(list(ways), [], [], rest)[0]:
            ways[source].take()
        for way in ways.values():
            way.pass_on()


def main() -> None:
    seconds, loss, *ends = sys.argv[1:]
    os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    near, far = _device(*ends[:2]), _device(*ends[2:])
    how = (float(seconds), float(loss))
    try:
        _carry(Direction(near, far, *how), Direction(far, near, *how))
    except OSError as gone:
        if gone.errno != errno.EBADFD:
            raise


if __name__ == "__main__":
    main()
