"""Values as a dashboard shows them, by the names that Grafana has for units."""

from collections.abc import Callable

_DECIMAL = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_BYTES = ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B"))
_RATES = ((1e9, " GB/s"), (1e6, " MB/s"), (1e3, " kB/s"), (1, " B/s"))
_TIMES = ((86400, " days"), (3600, " hours"), (60, " mins"), (1, " s"), (1e-3, " ms"), (1e-6, " µs"))

Steps = tuple[tuple[float, str], ...]


def shown(value: float, unit: str) -> str:
    """A value in base units, with its unit."""
    return _SHOWN.get(unit, _short)(value)


def _short(value: float) -> str:
    return _scaled(value, _DECIMAL) if abs(value) >= 1e3 else _figures(value)


def _scaled(value: float, steps: Steps) -> str:
    if value == 0:
        return f"0{steps[-1][1]}"
    size, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return f"{_figures(value / size)}{name}"


def _figures(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _seconds(value: float) -> str:
    return "0 s" if value == 0 else _scaled(value, _TIMES)


_SHOWN: dict[str, Callable[[float], str]] = {
    "short": _short,
    "percentunit": lambda value: f"{_figures(value * 100)}%",
    "s": _seconds,
    "bytes": lambda value: _scaled(value, _BYTES),
    "Bps": lambda value: _scaled(value, _RATES),
    "ops": lambda value: f"{_short(value)} ops/s",
    "reqps": lambda value: f"{_short(value)} req/s",
    "celsius": lambda value: f"{_figures(value)} °C",
}
