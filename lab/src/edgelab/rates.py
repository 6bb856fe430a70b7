"""What people write for a link or a processor, checked and made into numbers. Pure."""

import re
from dataclasses import dataclass

from edgelab.errors import LabError

_UNITS = {"kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_RATE = re.compile(r"(\d+(?:\.\d+)?)(kbit|mbit|gbit)")
_DELAY = re.compile(r"(\d+(?:\.\d+)?)ms")
_LOSS = re.compile(r"(\d+(?:\.\d+)?)%")
_SLOWEST, _FASTEST = 10**5, 10**11

# What the bucket may hold at once. A real line sends nothing at once: the smaller, the truer short
# measurements are. But timers lag on a busy machine, and what a full bucket cannot take meanwhile is lost:
# with three processes a core, 4 ms cost up to 14 % of the rate, 10 ms nothing.
_BURST_SECONDS = 0.01
_SMALLEST_BURST = 5_000
_QUEUE_SECONDS = 0.05
_SMALLEST_QUEUE = 30_000


@dataclass(frozen=True)
class Link:
    """A shaped line, the same in both directions: bit/s, delay one way in ms, loss in percent."""

    bits: int
    delay: float = 0.0
    loss: float = 0.0

    @property
    def burst(self) -> int:
        """Bytes that may leave at once."""
        return max(_SMALLEST_BURST, int(self.bits / 8 * _BURST_SECONDS))

    @property
    def queue(self) -> int:
        """Bytes that wait for the line before more are dropped."""
        return self.burst + max(_SMALLEST_QUEUE, int(self.bits / 8 * _QUEUE_SECONDS))

    @property
    def sizes(self) -> list[str]:
        """Of the kernel's token bucket, in the words of tc."""
        return ["rate", f"{self.bits}bit", "burst", str(self.burst), "limit", str(self.queue)]

    def __str__(self) -> str:
        unit = next(u for u in ("gbit", "mbit", "kbit") if self.bits >= _UNITS[u])
        parts = [f"{self.bits / _UNITS[unit]:g}{unit}"]
        parts += [f"{self.delay:g}ms"] if self.delay else []
        parts += [f"{self.loss:g}%"] if self.loss else []
        return "-".join(parts)


def parse_link(text: str) -> Link:
    """`50mbit`, or with delay and loss `50mbit-20ms-1%` (a form that is a label's value up to the percent).

    Raises:
        LabError: no such rate, or one outside 100 kbit to 100 gbit.
    """
    rate, *more = text.strip().lower().split("-")
    match = _RATE.fullmatch(rate)
    if not match:
        raise LabError(
            f"{text!r} is no link: write a rate such as 50mbit, 500kbit or 1gbit, or 50mbit-20ms-1%"
        )
    bits = int(float(match[1]) * _UNITS[match[2]])
    if not _SLOWEST <= bits <= _FASTEST:
        raise LabError(f"{text!r} is outside what can be shaped: 100kbit to 100gbit")
    delay, loss = 0.0, 0.0
    for part in more:
        if found := _DELAY.fullmatch(part):
            delay = float(found[1])
        elif (found := _LOSS.fullmatch(part)) and float(found[1]) < 100:
            loss = float(found[1])
        else:
            raise LabError(f"{part!r} in {text!r} is neither a delay such as 20ms nor a loss such as 1%")
    return Link(bits, delay, loss)


def parse_cpu(value: str | float) -> float:
    """Cores as a number, `0.5`, or as Kubernetes writes them, `500m`.

    Raises:
        LabError: no number, or outside 0.05 to 256.
    """
    text = str(value).strip()
    try:
        cores = float(text[:-1]) / 1000 if text.endswith("m") else float(text)
    except ValueError:
        raise LabError(f"{value!r} is no share of a processor: write cores such as 0.5, 2 or 500m") from None
    if not 0.05 <= cores <= 256:
        raise LabError(f"{value!r} cores cannot be given: write 0.05 to 256")
    return cores
