"""The node's processor, memory, temperature and battery, as /proc and /sys show them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
SYS = Path("/sys")


@dataclass(frozen=True)
class Ticks:
    """Processor time of all cores since boot."""

    busy: int
    total: int


@dataclass(frozen=True)
class Memory:
    total: int
    available: int


def cores() -> int:
    return os.cpu_count() or 1


def ticks(proc: Path = PROC) -> Ticks:
    """As /proc/stat counts them; waiting for a disk is idle time."""
    fields = [int(field) for field in (proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return Ticks(busy=sum(fields) - fields[3] - fields[4], total=sum(fields))


def cpu_ratio(earlier: Ticks, later: Ticks) -> float:
    """Cores in use over cores, between two readings."""
    total = later.total - earlier.total
    return max(0.0, min(1.0, (later.busy - earlier.busy) / total)) if total > 0 else 0.0


def memory(proc: Path = PROC) -> Memory:
    lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
    kib = {fields[0].rstrip(":"): int(fields[1]) for fields in lines}
    return Memory(kib["MemTotal"] * 1024, kib.get("MemAvailable", kib["MemFree"]) * 1024)


def temperature(sys: Path = SYS) -> float | None:
    """Of the hottest sensor, in Celsius; None where there is none."""
    sensors = [*sys.glob("class/thermal/thermal_zone*/temp"), *sys.glob("class/hwmon/hwmon*/temp*_input")]
    # A sensor that is not connected reads as absolute zero or as far too hot.
    celsius = [value / 1000 for value in _numbers(sensors) if -100_000 < value < 200_000]
    return max(celsius, default=None)


def battery(sys: Path = SYS) -> float | None:
    """Charge of the emptiest battery, 0 to 1; None where there is none."""
    supplies = [path.parent for path in sys.glob("class/power_supply/*/type") if _text(path) == "Battery"]
    return min((value / 100 for value in _numbers(supply / "capacity" for supply in supplies)), default=None)


def _numbers(paths: "list[Path] | Iterator[Path]") -> Iterator[int]:
    for path in paths:
        text = _text(path)
        if text.lstrip("-").isdigit():
            yield int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # a sensor may be listed and yet refuse to be read
        return ""
