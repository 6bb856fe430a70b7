"""A dashboard as a picture: its panels where Grafana would put them, in its light colours."""

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, MultipleLocator

from benchmarks.pictures.answers import Asked, Line
from benchmarks.pictures.units import shown

COLUMNS = 24
WIDTH, ROW, TOP = 16.0, 0.36, 0.5
"""Inches: the whole, a unit of Grafana's grid, and the title."""
DOTS, LETTERS = 80, 17
"""Per inch; letters are those of a legend."""
PALETTE = ("#56a64b", "#e0b400", "#3274d9", "#ff780a", "#e02f44", "#8f3bb8", "#37872d", "#1f60c4")
COLORS = {
    "green": "#56a64b",
    "red": "#e02f44",
    "blue": "#3274d9",
    "orange": "#ff780a",
    "transparent": "none",
    "text": "#24292e",
}
BACKGROUND, BORDER, TEXT, FAINT = "#f4f5f5", "#dfe0e1", "#24292e", "#6e7680"
EVENT = "#9aa0a6"

Document = Mapping[str, Any]
Events = Mapping[str, float]
"""What happened, and when (Unix seconds)."""


def draw(document: Document, asked: Asked, events: Events, target: Path) -> None:
    """Draw a dashboard into a PNG file."""
    rows = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in document["panels"])
    height = TOP + rows * ROW
    figure = Figure(figsize=(WIDTH, height), facecolor=BACKGROUND)
    figure.text(0.01, 1 - 0.25 / height, document["title"], size=13, weight="bold", color=TEXT, va="center")
    happened = "; ".join(f"{_minute(asked, at)}: {what}" for what, at in events.items())
    figure.text(0.99, 1 - 0.25 / height, happened, size=9, color=FAINT, va="center", ha="right")
    for panel in document["panels"]:
        _panel(figure, _box(panel, height), panel, asked, events)
    figure.savefig(target, dpi=DOTS)


Box = tuple[float, float, float, float]
"""Left, bottom, width and height in inches."""


def _box(panel: Document, height: float) -> Box:
    grid, column = panel["gridPos"], WIDTH / COLUMNS
    top = height - TOP - grid["y"] * ROW
    return grid["x"] * column, top - grid["h"] * ROW, grid["w"] * column, grid["h"] * ROW


def _panel(figure: Figure, box: Box, panel: Document, asked: Asked, events: Events) -> None:
    left, bottom, width, height = box
    if panel["type"] == "row":
        frame = _axes(figure, box)
        frame.text(0.008, 0.4, panel["title"], size=11, color=TEXT, va="center")
        return
    frame = _axes(figure, (left + 0.05, bottom + 0.04, width - 0.1, height - 0.08))
    frame.add_patch(Rectangle((0, 0), 1, 1, facecolor="white", edgecolor=BORDER, transform=frame.transAxes))
    frame.text(0.1 / width, 1 - 0.14 / height, panel["title"], size=9, weight="bold", color=TEXT, va="center")
    inner = (left + 0.1, bottom + 0.1, width - 0.2, height - 0.42)
    if panel["type"] == "stat":
        _stat(_axes(figure, inner), panel, asked.lines(panel))
    elif panel["type"] == "table":
        _table(_axes(figure, inner), panel, asked.table(panel))
    elif panel["type"] == "state-timeline":
        _states(_plot(figure, inner, left=1.1, below=0.25), panel, asked, events)
    else:
        axes = _plot(figure, inner, left=0.62, below=0.48)
        _lines(axes, panel, asked, events)
        _legend(axes, [line.name for line in asked.lines(panel)], inner)


def _axes(figure: Figure, box: Box) -> Axes:
    wide, high = figure.get_size_inches()
    left, bottom, width, height = box
    axes = figure.add_axes((left / wide, bottom / high, width / wide, height / high))
    axes.set_axis_off()
    return axes


def _plot(figure: Figure, box: Box, left: float, below: float) -> Axes:
    axes = _axes(figure, (box[0] + left, box[1] + below, box[2] - left - 0.15, box[3] - below - 0.05))
    axes.set_axis_on()
    _bare(axes)
    return axes


def _bare(axes: Axes) -> None:
    axes.tick_params(labelsize=7, colors=FAINT, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _minute(asked: Asked, at: float) -> str:
    return f"{(at - asked.begin) / 60:.1f} min"


def _time(axes: Axes, asked: Asked, events: Events) -> None:
    """Minutes since the picture's begin, and when things happened."""
    axes.set_xlim(asked.begin, asked.end)
    every = max(1, round((asked.end - asked.begin) / 60 / 6))
    minutes = range(0, int((asked.end - asked.begin) / 60) + 1, every)
    axes.set_xticks([asked.begin + 60 * n for n in minutes], [f"{n} min" if n else "0" for n in minutes])
    axes.tick_params(axis="x", pad=4)
    for at in events.values():
        axes.axvline(at, color=EVENT, linewidth=0.8, linestyle=":")


# --- stat and table


def _stat(axes: Axes, panel: Document, lines: Sequence[Line]) -> None:
    """The newest value of each series, over a sketch of how it came about."""
    named = len(lines) > 1
    for number, line in enumerate(lines):
        text, color = _named(panel, line.last) or (shown(line.last, _unit(panel, line.name)), PALETTE[0])
        middle = (number + 0.5) / len(lines)
        axes.text(middle, 0.62, text, size=17, color=color, ha="center", va="center")
        if named:
            axes.text(middle, 0.96, line.name, size=8, color=FAINT, ha="center", va="center")
        _sketch(axes, line, number / len(lines), 1 / len(lines), color)
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _sketch(axes: Axes, line: Line, left: float, width: float, color: str) -> None:
    had = [value for value in line.values if value == value]
    low, high = min(had), max(had)
    span = (high - low) or 1.0
    across = [left + width * n / len(line.values) for n in range(len(line.values))]
    heights = [0.28 * (value - low) / span for value in line.values]
    axes.fill_between(across, heights, color=color, alpha=0.2, linewidth=0)


def _table(axes: Axes, panel: Document, rows: Sequence[Mapping[str, str | float]]) -> None:
    names: Mapping[str, str] = panel["transformations"][1]["options"]["renameByName"]
    cells = [[_cell(panel, names[key], row.get(key, "")) for key in names] for row in rows]
    for column, title in enumerate(names.values()):
        axes.text(column / len(names), 0.95, title, size=8, color=PALETTE[2], weight="bold", va="center")
        for number, row in enumerate(cells, start=1):
            axes.text(column / len(names), 0.95 - 0.12 * number, row[column], size=8, color=TEXT, va="center")
    axes.set(xlim=(-0.02, 1), ylim=(0, 1))


def _cell(panel: Document, name: str, value: str | float) -> str:
    return value if isinstance(value, str) else shown(value, _unit(panel, name))


# --- over time


def _lines(axes: Axes, panel: Document, asked: Asked, events: Events) -> None:
    lines = asked.lines(panel)
    custom = panel["fieldConfig"]["defaults"]["custom"]
    opacity = custom["fillOpacity"] / 100
    right = [line for line in lines if dict(_overrides(panel, line.name)).get("custom.axisPlacement")]
    sides = {True: _twin(axes), False: axes} if right else {False: axes}
    if stacked := "stacking" in custom:
        _stack(axes, lines, opacity)
    for line, color in () if stacked else zip(lines, itertools.cycle(PALETTE), strict=False):
        side = sides[line in right]
        side.plot(line.times, line.values, color=color, linewidth=1.1)
        side.fill_between(line.times, line.values, color=color, alpha=opacity / 2, linewidth=0)
    for on_right, side in sides.items():
        unit = _unit(panel, right[0].name if on_right else "")
        _scale(side, panel, unit, stacked=stacked)
    _time(axes, asked, events)


def _twin(axes: Axes) -> Axes:
    """For series with a unit of their own."""
    box = axes.get_position()
    axes.set_position((box.x0, box.y0, box.width - 0.018, box.height))
    twin = axes.twinx()
    _bare(twin)
    return twin


def _stack(axes: Axes, lines: Sequence[Line], opacity: float) -> None:
    whole = [[0.0 if math.isnan(value) else value for value in line.values] for line in lines]
    if lines:
        axes.stackplot(lines[0].times, *whole, colors=PALETTE, alpha=opacity, linewidth=0)


def _scale(axes: Axes, panel: Document, unit: str, *, stacked: bool) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    low, high = axes.dataLim.y0, axes.dataLim.y1
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = 0.0, 1.0
    high = high * 1.08 if high > 0 else 1.0
    axes.set_ylim(defaults.get("min", 0 if stacked or low >= 0 else low), defaults.get("max", high))
    axes.yaxis.set_major_locator(
        _binary(high) if unit == "bytes" else MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    axes.grid(axis="y", color="#eceded", linewidth=0.8)
    axes.set_axisbelow(True)


def _binary(high: float) -> Locator:
    """Whole numbers of KiB, MiB or GiB."""
    return MultipleLocator(2.0 ** math.ceil(math.log2(max(high, 1.0) / 4)))


def _legend(axes: Axes, names: Sequence[str], box: Box) -> None:
    """Below the axes, in as few rows as fit."""
    marks = [Rectangle((0, 0), 1, 1, facecolor=color) for color, _ in zip(itertools.cycle(PALETTE), names)]
    letters = sum(len(name) + 4 for name in names)
    rows = max(1, math.ceil(letters / (box[2] * LETTERS)))
    look = {"ncols": math.ceil(len(names) / rows), "fontsize": 7, "frameon": False, "labelcolor": TEXT}
    spaced = {"handlelength": 1.0, "handleheight": 0.3, "columnspacing": 1.0, "borderpad": 0.0}
    corner = (box[0] + 0.05, box[1] + 0.26)
    legend = axes.legend(marks, names, loc="upper left", bbox_to_anchor=corner, **look, **spaced)
    legend.set_bbox_to_anchor(corner, axes.figure.dpi_scale_trans)


def _states(axes: Axes, panel: Document, asked: Asked, events: Events) -> None:
    lines = asked.lines(panel)
    opacity = panel["fieldConfig"]["defaults"]["custom"]["fillOpacity"] / 100
    for row, line in enumerate(reversed(lines)):
        for begin, end, value in _stretches(line):
            color = _color(panel, line.name, value)
            axes.barh(row, end - begin, left=begin, height=0.75, color=color, alpha=opacity, linewidth=0)
    axes.set_ylim(-0.5, len(lines) - 0.5)
    axes.set_yticks(range(len(lines)), [line.name for line in reversed(lines)])
    _time(axes, asked, events)


def _stretches(line: Line) -> Iterator[tuple[float, float, float]]:
    """From when to when it had which value; gaps are left out."""
    step = line.times[1] - line.times[0]
    for value, points in itertools.groupby(zip(line.times, line.values, strict=True), lambda point: point[1]):
        times = [at for at, _ in points]
        if value == value:
            yield times[0], times[-1] + step, value


# --- what the panel says of a field


def _by_regexp(pattern: str, name: str) -> bool:
    """As in Grafana: without slashes it is about the whole name."""
    inner = re.fullmatch("/(.*)/", pattern)
    return bool(re.search(inner[1], name) if inner else re.fullmatch(pattern, name))


_MATCHERS: dict[str, Callable[[str, str], bool]] = {
    "byName": lambda wanted, name: wanted == name,
    "byRegexp": _by_regexp,
}


def _overrides(panel: Document, name: str) -> Iterator[tuple[str, Any]]:
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        if _MATCHERS[matcher["id"]](matcher["options"], name):
            yield from ((p["id"], p["value"]) for p in override["properties"])


def _unit(panel: Document, name: str) -> str:
    return str(dict(_overrides(panel, name)).get("unit", panel["fieldConfig"]["defaults"]["unit"]))


def _named(panel: Document, value: float) -> tuple[str, str] | None:
    """What the panel calls a value, and its colour."""
    for mapping in panel["fieldConfig"]["defaults"].get("mappings", ()):
        if found := mapping["options"].get(f"{value:g}"):
            return found["text"], COLORS[found["color"]]
    return None


def _color(panel: Document, name: str, value: float) -> str:
    fixed = dict(_overrides(panel, name)).get("color", panel["fieldConfig"]["defaults"].get("color"))
    if fixed:
        return COLORS[fixed["fixedColor"]]
    named = _named(panel, value)
    return named[1] if named else PALETTE[0]
