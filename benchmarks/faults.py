"""Faults as edge nodes meet them, each struck at nodes drawn by chance and over when it returns.

A fault that finds nothing to strike, such as the program of a node that is still starting, is none.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bed import Bed
from edgelab.barriers import Content, Way
from edgelab.errors import LabError

DARK_SECONDS = 3.0
"""Without power."""
CUT_SECONDS = 6.0
"""Without a link, or without one direction of it."""
STILL_SECONDS = 5.0
"""Stopped: longer than it takes to be put out."""
HUNG_SECONDS = 8
CHOKED_SECONDS = 8.0
CHOKED = "300kbit"
LARGE_BYTES = 600
BETWEEN_PODS_SECONDS = 4.0
"""Between pods that are deleted in turn."""
OPERATOR_AWAY_SECONDS = 4.0
HANG_FILE = "/tmp/hang"
"""In the container, of the journal program."""

Act = Callable[[Bed, Sequence[str]], None]
Draw = Callable[[random.Random, Sequence[str]], list[str]]


@dataclass(frozen=True)
class Struck:
    """What a fault did, and when: Unix times, seconds."""

    fault: str
    nodes: tuple[str, ...]
    began: float
    ended: float
    """Its cause was taken away: power and links are back."""
    kills: bool
    """The programs on these nodes are gone, and have to be started."""

    def __str__(self) -> str:
        return f"{self.fault} of {', '.join(self.nodes)}" if self.nodes else self.fault


@dataclass(frozen=True)
class Fault:
    """A kind of fault, and which nodes it strikes."""

    name: str
    act: Act
    draw: Draw
    kills: bool = False

    def strike(self, test: Bed, chance: random.Random) -> Struck:
        """Let it happen; returns when its cause is over."""
        nodes = self.draw(chance, test.nodes)
        began = time.time()
        self.act(test, nodes)
        return Struck(self.name, tuple(nodes), began, time.time(), self.kills)


# --- whom it strikes


def nobody(chance: random.Random, nodes: Sequence[str]) -> list[str]:
    return []


def one(chance: random.Random, nodes: Sequence[str]) -> list[str]:
    return [chance.choice(nodes)]


def several(chance: random.Random, nodes: Sequence[str]) -> list[str]:
    """Two or more, but not all, in any order."""
    return chance.sample(nodes, chance.randrange(2, len(nodes)))


def all_of_them(chance: random.Random, nodes: Sequence[str]) -> list[str]:
    """In any order."""
    return chance.sample(nodes, len(nodes))


# --- what happens


@contextmanager
def if_there() -> Iterator[None]:
    """What is to be struck may not run."""
    with suppress(LabError, KeyError, ProcessLookupError, FileNotFoundError):
        yield


def kill(test: Bed, nodes: Sequence[str]) -> None:
    """SIGKILL of the program."""
    for node in nodes:
        with if_there():
            test.signal_program(node, signal.SIGKILL)


def stop(test: Bed, nodes: Sequence[str]) -> None:
    """SIGSTOP of all of the container, supervisor and program."""
    _stopped(test.signal_pod, nodes, STILL_SECONDS)


def hang(test: Bed, nodes: Sequence[str]) -> None:
    """SIGSTOP of the program alone: its supervisor lives and is heard."""
    _stopped(test.signal_program, nodes, HUNG_SECONDS)


def _stopped(send: Callable[[str, int], float], nodes: Sequence[str], seconds: float) -> None:
    for node in nodes:
        with if_there():
            send(node, signal.SIGSTOP)
    time.sleep(seconds)
    for node in nodes:
        with if_there():
            send(node, signal.SIGCONT)


def hang_in_code(test: Bed, nodes: Sequence[str]) -> None:
    """The program does something else for long, at a boundary of its loop."""
    _hang_in_code(test, nodes, f"{HUNG_SECONDS}")


def hang_holding(test: Bed, nodes: Sequence[str]) -> None:
    """The same, while none of the program's other threads may run."""
    _hang_in_code(test, nodes, f"{HUNG_SECONDS} held")


def _hang_in_code(test: Bed, nodes: Sequence[str], words: str) -> None:
    for node in nodes:
        with if_there():
            order_hang(test, node, words)
    time.sleep(HUNG_SECONDS)


def order_hang(test: Bed, node: str, words: str) -> None:
    """Tell the journal program on a node to hang for so many seconds."""
    program = Path(f"/proc/{test.program_pid(node)}")
    file = Path(f"{program}/root{HANG_FILE}")
    draft, owner = file.with_suffix(".draft"), program.stat()
    draft.write_text(words)
    os.chown(draft, owner.st_uid, owner.st_gid)
    draft.rename(file)


def cut_power(test: Bed, nodes: Sequence[str]) -> None:
    """All at once; they come back in the order in which they were drawn."""
    for node in nodes:
        test.lab.node_kill(node)
    time.sleep(DARK_SECONDS)
    for node in nodes:
        test.lab.node_start(node)


def delete_pods(test: Bed, nodes: Sequence[str]) -> None:
    """All at once."""
    _delete_pods(test, [pod["metadata"]["name"] for node, pod in test.pods().items() if node in nodes])


def delete_pods_in_turn(test: Bed, nodes: Sequence[str]) -> None:
    for node in nodes:
        delete_pods(test, [node])
        time.sleep(BETWEEN_PODS_SECONDS)


def _delete_pods(test: Bed, names: Sequence[str]) -> None:
    if names:
        test.lab.kubectl("-n", test.namespace, "delete", "pod", *names, "--wait=false", "--ignore-not-found")


def partition(test: Bed, nodes: Sequence[str]) -> None:
    """From all but each other."""
    test.lab.partition(*nodes)
    time.sleep(CUT_SECONDS)
    test.lab.heal()


def offline(test: Bed, nodes: Sequence[str]) -> None:
    """From the cloud alone."""
    test.lab.offline(*nodes)
    time.sleep(CUT_SECONDS)
    test.lab.heal()


def one_way(test: Bed, nodes: Sequence[str]) -> None:
    """What they send to other edge nodes is lost; what is sent to them arrives."""
    _cut(test, nodes, way="out")


def data_only(test: Bed, nodes: Sequence[str]) -> None:
    """The supervisors' channel alone lives."""
    _cut(test, nodes, only="data")


def large_packets(test: Bed, nodes: Sequence[str]) -> None:
    """A tunnel that drops them without a word."""
    _cut(test, nodes, above=LARGE_BYTES)


def _cut(
    test: Bed, nodes: Sequence[str], way: Way = "both", only: Content | None = None, above: int | None = None
) -> None:
    for node in nodes:
        test.lab.cut(node, way=way, only=only, above=above)
    time.sleep(CUT_SECONDS)
    test.lab.heal()


def choke(test: Bed, nodes: Sequence[str]) -> None:
    """The links lose nearly all of their rate for a while."""
    rates = {view.name: view.link for view in test.lab.status().nodes}
    for node in nodes:
        test.lab.link(node, CHOKED)
    time.sleep(CHOKED_SECONDS)
    for node in nodes:
        test.lab.link(node, rates[node] or "1gbit")


def kill_operator(test: Bed, nodes: Sequence[str]) -> None:
    """And the programs on these nodes while it is away."""
    test.scale_operator(0)
    kill(test, nodes)
    time.sleep(OPERATOR_AWAY_SECONDS)
    test.scale_operator(1)


PROGRAM_KILLED = Fault("program killed", kill, one, kills=True)
STOPPED = Fault("container stopped", stop, one)
POWER_CUT = Fault("power cut", cut_power, one, kills=True)
PARTITION = Fault("partition", partition, one)
OPERATOR_AND_PROGRAM_KILLED = Fault(
    "operator killed, and a program while it is away", kill_operator, one, kills=True
)
FAULTS = (
    PROGRAM_KILLED,
    STOPPED,
    Fault("program hung", hang, one),
    Fault("program hung in its code", hang_in_code, one),
    Fault("program hung holding the interpreter", hang_holding, one),
    POWER_CUT,
    Fault("power cut of several", cut_power, several, kills=True),
    Fault("power cut of all", cut_power, all_of_them, kills=True),
    Fault("pod deleted", delete_pods, one, kills=True),
    Fault("pods deleted in turn", delete_pods_in_turn, all_of_them, kills=True),
    Fault("pods deleted at once", delete_pods, several, kills=True),
    Fault("all pods deleted at once", delete_pods, all_of_them, kills=True),
    PARTITION,
    Fault("partition of several", partition, several),
    Fault("one way: what is sent is lost", one_way, one),
    Fault("data lost, control whole", data_only, one),
    Fault("large packets lost", large_packets, one),
    Fault("offline", offline, several),
    Fault("choke", choke, one),
    Fault("operator killed", kill_operator, nobody),
    OPERATOR_AND_PROGRAM_KILLED,
)
