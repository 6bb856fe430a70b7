"""From the command line to a lab, and from a lab to the terminal."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from edgelab.cli.arguments import build_parser
from edgelab.config import check_lab_name, edge_nodes, make_node, read_config
from edgelab.errors import LabError
from edgelab.lab import Lab
from edgelab.programs.pinned import KUBEEDGE, MODULES
from edgelab.programs.setup import check_machine, set_up
from edgelab.real_images.build import ensure_built
from edgelab.real_images.store import sizes_of
from edgelab.status import LabStatus

Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit status: 1 with a line on stderr for what a person can mend."""
    try:
        arguments = build_parser().parse_args(argv)
        return _COMMANDS[arguments.command](arguments) or 0
    except LabError as problem:
        print(f"edgelab: {problem}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (`head`) has seen enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("edgelab: interrupted", file=sys.stderr)
        return 130
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _lab(arguments: Arguments) -> Lab:
    return Lab(arguments.name, say=_say) if arguments.name is not None else Lab(say=_say)


def _setup(arguments: Arguments) -> None:
    programs = set_up(_say, [*MODULES, KUBEEDGE] if arguments.kubeedge else MODULES)
    if arguments.output == "json":
        print(json.dumps({name: str(path) for name, path in programs.items()}, indent=2))


def _up(arguments: Arguments) -> None:
    lab = _lab(arguments)
    config = read_config(arguments.config) if arguments.config else edge_nodes(arguments.nodes)
    lab.up(config.running(arguments.images))
    _say(f"lab {lab.name!r} is up: export KUBECONFIG={lab.kubeconfig}")


def _down(arguments: Arguments) -> None:
    lab = _lab(arguments)
    lab.down()
    _say(f"lab {lab.name!r} is gone")


def _status(arguments: Arguments) -> None:
    status = _lab(arguments).status()
    if arguments.output == "json":
        print(status.model_dump_json(indent=2))
    else:
        # Piped, it is for grep: no column may be cut to fit a terminal that is not there.
        console = Console() if sys.stdout.isatty() else Console(width=200)
        console.print(f"lab {status.name}: control plane {status.control_plane}", _table(status), sep="\n")


def _kubeconfig(arguments: Arguments) -> None:
    path = _lab(arguments).status().kubeconfig
    print(json.dumps({"kubeconfig": path}) if arguments.output == "json" else path)


def _images(arguments: Arguments) -> None:
    check_machine()
    sizes = sizes_of(ensure_built(_say))
    lines = [f"{tag}: {size / 1e6:.0f} MB unpacked" for tag, size in sizes.items()]
    print(json.dumps(sizes, indent=2) if arguments.output == "json" else "\n".join(lines))


def _node(arguments: Arguments) -> None:
    lab = _lab(arguments)
    if arguments.action == "add":
        fields = {"name": arguments.node, "kind": arguments.kind, "labels": dict(arguments.label)}
        fields |= {"link": arguments.link, "cpu": arguments.cpu, "site": arguments.site}
        lab.node_add(make_node(**fields))
        return
    act = {"stop": lab.node_stop, "start": lab.node_start, "kill": lab.node_kill, "remove": lab.node_remove}
    act[arguments.action](arguments.node)


def _link(arguments: Arguments) -> None:
    _lab(arguments).link(arguments.node, arguments.rate)


def _partition(arguments: Arguments) -> None:
    _lab(arguments).partition(*arguments.nodes)


def _offline(arguments: Arguments) -> None:
    _lab(arguments).offline(*arguments.nodes)


def _cut(arguments: Arguments) -> None:
    size_and_kind = {"above": arguments.above, "only": arguments.only}
    _lab(arguments).cut(arguments.node, *arguments.peers, way=arguments.way, **size_and_kind)


def _heal(arguments: Arguments) -> None:
    _lab(arguments).heal(*arguments.nodes)


def _demo(arguments: Arguments) -> int:
    # Here, as the demo brings in much that no other command needs.
    from edgelab.demo.run import run_demo
    from edgelab.demo.showings import ONE_GROUP, SITES

    # Ended by whatever it was started from, it still takes its cluster down.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    showing = SITES if arguments.sites else ONE_GROUP
    return run_demo(check_lab_name(arguments.name), Console(), showing, arguments.images)


def _observe(arguments: Arguments) -> int:
    from edgelab.demo.observe import run_observe

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return run_observe(check_lab_name(arguments.name), Console())


def _table(status: LabStatus) -> Table:
    table = Table(box=box.SIMPLE)
    for title in ("node", "kind", "power", "ready", "address", "link", "cpu", "site", "cut off"):
        table.add_column(title)
    for node in status.nodes:
        values = (node.name, node.kind, node.power, node.ready, node.address)
        apart = [f"partition {node.partition}"] if node.partition else []
        cut_off = ["offline"] * node.offline + apart + node.cuts
        optional = (node.link, node.cpu, node.site, "; ".join(cut_off) or None)
        table.add_row(*values, *("-" if value is None else str(value) for value in optional))
    return table


_COMMANDS: dict[str, Callable[[Arguments], int | None]] = {
    "setup": _setup,
    "up": _up,
    "down": _down,
    "status": _status,
    "kubeconfig": _kubeconfig,
    "node": _node,
    "images": _images,
    "link": _link,
    "partition": _partition,
    "offline": _offline,
    "cut": _cut,
    "heal": _heal,
    "demo": _demo,
    "observe": _observe,
}
