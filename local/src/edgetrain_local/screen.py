"""What a person sees of a run: what programs print, what happens, and where training is."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from edgetrain_protocol.status import JobStatus, NodeState, NodeStatus

EVERY_SECONDS = 2.0
"""Between lines where there is no terminal to draw on."""
_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
_STATE_COLOURS = {
    NodeState.TRAINING: "green",
    NodeState.FINISHED: "green",
    NodeState.LOST: "red",
    NodeState.FAILED: "red",
    NodeState.HUNG: "red",
}
_BAR = 30


class Screen:
    """On a terminal it is drawn anew at its foot; elsewhere there is a line now and then. For one thread."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self._nodes = list(nodes)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._said, self._shown, self._at = "", JobStatus(), 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def line(self, node: str, text: str) -> None:
        """What a node's program has printed."""
        colour = _COLOURS[self._nodes.index(node) % len(_COLOURS)]
        self._console.print(Text.assemble((f"{node} | ", colour), text))

    def tell(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def show(self, status: JobStatus) -> None:
        """Where training is."""
        now = time.monotonic()
        if self._live:
            if status != self._shown or now - self._at > 1.0:
                self._live.update(_picture(status, self._nodes), refresh=True)
                self._shown, self._at = status, now
        elif now - self._at > EVERY_SECONDS and (said := summary(status)) != self._said:
            self._console.print(said)
            self._said, self._at = said, now


def summary(status: JobStatus) -> str:
    """One line."""
    at, counts = status.progress, status.workers
    done = [f"{at.percent:.0f} %"] if at.percent else []
    parts = [*done, f"step {at.step:,}", f"epoch {at.epoch}"] if at.step else [status.phase]
    if at.version:
        parts.append(f"version {at.version:,}")
    if at.loss is not None:
        parts.append(f"loss {at.loss:.4g}")
    if at.samples_per_second:
        parts.append(f"{at.samples_per_second:,.0f} samples/s")
    if at.eta_seconds is not None:
        parts.append(f"{at.eta_seconds} s left")
    most = max(counts.desired, counts.training)
    return " · ".join([*parts, f"{counts.training} of {most} train"])


def _picture(status: JobStatus, nodes: Sequence[str]) -> RenderableType:
    bar = ProgressBar(total=100, completed=status.progress.percent, width=_BAR)
    head = Table.grid(padding=(0, 1))
    head.add_row(bar, summary(status))
    table = Table.grid(padding=(0, 2))
    told = {line.node: line for line in status.nodes}
    for number, node in enumerate(nodes, 1):
        table.add_row(f"[bold]{number}[/]", node, *_of_node(told.get(node)))
    last = len(nodes) if len(nodes) < 10 else 9
    keys = Text(f"1-{last}: take a node's power away, or give it back · q: stop", style="dim")
    return Group(head, table, keys)


def _of_node(line: NodeStatus | None) -> Sequence[RenderableType]:
    if line is None:
        return ("Pending", "", "", "")
    link = line.bandwidth_bits_per_second
    return (
        Text(str(line.state), style=_STATE_COLOURS.get(line.state, "yellow")),
        f"{line.samples_per_second:,.0f} samples/s" if line.samples_per_second else "",
        f"{link / 1e6:,.0f} Mbit/s" if link else "",
        Text("aggregator" if line.aggregator else line.message, style="dim"),
    )
