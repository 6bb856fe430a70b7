"""The demo's picture: one frame of the job's status, as rich draws it. Pure: data in, renderable out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from edgetrain_protocol.status import JobProgress, JobStatus, NodeState, NodeStatus, RoundsStatus

STATE_STYLE = {
    NodeState.TRAINING: "green",
    NodeState.FINISHED: "green",
    NodeState.STOPPED: "green",
    NodeState.JOINING: "cyan",
    NodeState.STARTING: "cyan",
    NodeState.PENDING: "cyan",
    NodeState.PAUSED: "yellow",
    NodeState.LOST: "red",
    NodeState.FAILED: "red",
    NodeState.UNSUPPORTED: "red",
}


@dataclass(frozen=True)
class Device:
    """What the demo made of a node: its shaped link and its share of a processor."""

    node: str
    link: str
    cpu: str


@dataclass
class Frame:
    """Everything that one picture shows."""

    title: str
    status: JobStatus
    devices: dict[str, Device]
    story: list[str] = field(default_factory=list)
    seconds: float = 0.0


def megabits(bits_per_second: float | None) -> str:
    """A rate for people; a dash where nothing was measured."""
    if not bits_per_second:
        return "-"
    rate = bits_per_second / 1e6
    return f"{rate:.0f} Mbit/s" if rate >= 10 else f"{rate:.1f} Mbit/s"


def progress_line(progress: JobProgress, width: int = 14) -> RenderableType:
    """Step or version, epoch, loss and speed beside a bar; within 76 columns."""
    grid = Table.grid(padding=(0, 2))
    loss = "-" if progress.loss is None else f"{progress.loss:.3f}"
    bar = ProgressBar(total=100, completed=progress.percent, width=width)
    figures = (
        f"{progress.percent:3.0f} %  {_at(progress)}  epoch {progress.epoch}  "
        f"loss {loss}  {progress.samples_per_second:.0f} samples/s"
    )
    grid.add_row(bar, figures)
    return grid


def _at(progress: JobProgress) -> str:
    return f"version {progress.version}" if progress.version else f"step {progress.step}"


def role_of(node: NodeStatus, rounds: RoundsStatus | None) -> str:
    """What it is to the others: of a job in rounds who holds their log, and who leads it."""
    if rounds is None:
        return "★ aggregator" if node.aggregator else ""
    told = "★ leads" if node.node == rounds.lead else "holds the log" if node.node in rounds.holders else ""
    return f"site {node.site or '-'}  {told}"


def node_row(status: NodeStatus, device: Device | None, role: str) -> Sequence[RenderableType]:
    """One node's cells, in the table's order."""
    style = STATE_STYLE[status.state]
    return (
        status.node,
        Text(status.state.value, style=style),
        f"{status.steps_per_second:.1f}",
        megabits(status.bandwidth_bits_per_second),
        f"{device.link} {device.cpu}" if device else "?",
        Text(role, style="bold magenta" if "★" in role else ""),
    )


COLUMNS = (
    ("NODE", False),
    ("STATE", False),
    ("STEP/S", True),
    ("MEASURED", True),
    ("LINK, CPU", False),
    ("", False),
)
"""Title, and whether it holds numbers."""


def node_table(
    nodes: Sequence[NodeStatus], devices: dict[str, Device], rounds: RoundsStatus | None = None
) -> Table:
    """A row for each node, by name, so that rows keep their places from frame to frame."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, numbers in COLUMNS:
        table.add_column(title, justify="right" if numbers else "left", no_wrap=True)
    for node in sorted(nodes, key=lambda n: n.node):
        table.add_row(*node_row(node, devices.get(node.node), role_of(node, rounds)))
    return table


def headline(frame: Frame) -> Text:
    workers, plan = frame.status.workers, frame.status.plan
    counts = f"{workers.training} of {workers.desired} training"
    paused = f", {workers.paused} paused" if workers.paused else ""
    return Text.assemble(
        (frame.status.phase, "bold"),
        f"   {counts}{paused}   plan {plan.revision}   {frame.seconds:.0f} s",
    )


def draw(frame: Frame) -> RenderableType:
    """The whole picture."""
    story = [Text(line) for line in frame.story[-6:]]
    return Panel(
        Group(
            headline(frame),
            progress_line(frame.status.progress),
            node_table(frame.status.nodes, frame.devices, frame.status.rounds),
            *story,
        ),
        title=frame.title,
        border_style="blue",
    )
