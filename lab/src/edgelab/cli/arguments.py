"""What the command line takes."""

import argparse
from pathlib import Path
from typing import TypeAlias

from edgelab.barriers import CONTENTS, WAYS
from edgelab.config import IMAGES, KINDS, parse_label

NodeActions = ("stop", "start", "kill", "remove")


def build_parser() -> argparse.ArgumentParser:
    """The whole command; `command` (and for `node`, `action`) name what was asked for."""
    parser = argparse.ArgumentParser(
        "edgelab", description="A real Kubernetes cluster in network namespaces."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _setup(commands)
    up = _command(commands, "up", "bring up the control plane and the nodes")
    size = up.add_mutually_exclusive_group()
    size.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="so many edge nodes, unshaped (default 1)"
    )
    size.add_argument("--config", type=Path, metavar="FILE", help="YAML file that lists the nodes")
    _images(up)
    _command(commands, "down", "remove the lab, also what a crash left of it")
    _shows(_command(commands, "status", "show control plane and nodes"))
    _shows(_command(commands, "kubeconfig", "print the path of the administrator's kubeconfig"))
    _node(commands)
    text = "build the real images now, and show how large they are"
    _shows(commands.add_parser("images", help=text, description=text))
    link = _command(commands, "link", "shape a node's link anew, in both directions")
    link.add_argument("node")
    link.add_argument("rate", help="such as 5mbit, or with delay and loss 5mbit-20ms-1%%")
    partition = _command(commands, "partition", "cut nodes off from all but each other")
    partition.add_argument("nodes", nargs="+", metavar="node")
    offline = _command(commands, "offline", "cut edge nodes off from the cloud, not from one another")
    offline.add_argument("nodes", nargs="+", metavar="node")
    _cut(commands)
    heal = _command(commands, "heal", "end what cuts these nodes off, or all")
    heal.add_argument("nodes", nargs="*", metavar="node")
    demo = _command(commands, "demo", "train in a lab through a power cut, a join and a choked link")
    demo.add_argument("--sites", action="store_true", help="two sites and a node behind NAT, in rounds")
    demo.set_defaults(name="demo")
    _images(demo)
    observe = _command(commands, "observe", "bring up a lab with a job and Prometheus, and leave it running")
    observe.set_defaults(name="observe")
    return parser


# A string: the class takes a parameter for type checkers only.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _setup(commands: Subparsers) -> None:
    text = "install packages and get Kubernetes' programs, once"
    setup = commands.add_parser("setup", help=text, description=text)
    setup.add_argument("--kubeedge", action="store_true", help="KubeEdge's too (else with its first node)")
    _shows(setup)


def _cut(commands: Subparsers) -> None:
    cut = _command(commands, "cut", "drop a part of what passes between a node and other nodes")
    cut.add_argument("node")
    cut.add_argument("peers", nargs="*", metavar="peer", help="default: every other edge node")
    cut.add_argument(
        "--way", choices=WAYS, default="both", help="out: what NODE sends; in: what is sent to it"
    )
    cut.add_argument("--above", type=int, metavar="BYTES", help="only packets that are larger")
    cut.add_argument(
        "--only",
        choices=CONTENTS,
        help="the supervisors' control channel, all data but that, or new connections",
    )


def _images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images",
        choices=IMAGES,
        help="thin: the working tree mounted; real: from the Dockerfiles (default: $EDGELAB_IMAGES or thin)",
    )


def _node(commands: Subparsers) -> None:
    actions = commands.add_parser("node", help="add a node, switch it, remove it").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    add = _command(actions, "add", "add a node and wait until it is Ready")
    add.add_argument("node")
    add.add_argument("--link", metavar="RATE", help="such as 50mbit (default: as fast as the machine)")
    add.add_argument("--cpu", metavar="CORES", help="such as 0.5 (default: the machine's)")
    add.add_argument("--site", help="value of the label topology.edgetrain.io/site")
    add.add_argument("--label", action="append", type=parse_label, default=[], metavar="KEY=VALUE")
    add.add_argument("--kind", choices=KINDS, default="edge", help="kubeedge: an edge node run by KubeEdge")
    for action, text in _ACTIONS.items():
        _command(actions, action, text).add_argument("node")


_ACTIONS = {
    "stop": "shut a node down cleanly",
    "start": "start a node that is off, on the disk that it had",
    "kill": "cut a node's power: nothing is told to anyone",
    "remove": "remove a node for good",
}


def _command(commands: Subparsers, name: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--name", metavar="LAB", help="which lab (default: $EDGELAB_NAME or `edgelab`)")
    return parser


def _shows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
