"""The local link: every message survives the way over a real socket, and nonsense is refused."""

import socket
import threading

import pytest

from edgetrain import local
from edgetrain.local import FormationId

F = FormationId(lineage=2, number=7, revision=31)
P = local.Position(2, F, 41, local.Prepared(F, 42))
MESSAGES: list[local.Message] = [
    local.Ready("abc", ["w [2, 3] float32"], local.Position()),
    local.Started(P),
    local.Progress(
        F,
        "reduce",
        42,
        loss=0.5,
        not_finite_since=40,
        phase_seconds={"reduce": 0.1},
        metrics={"accuracy": 0.9},
    ),
    local.Progress(F, "apply", 43, totals=local.Totals(43, 2752, {"reduce": 4.5}, {"wan": [10, 20]})),
    local.Built(F),
    local.BuildFailed(F, ["b"], "refused"),
    local.Broken(F, P, "reset", ["b"]),
    local.Stuck(F, ["b"]),
    local.Halted(F, P),
    local.CaughtUp(P),
    local.FetchFailed("a", "timed out"),
    local.Checkpointed(2, 40, "00", "/x"),
    local.Finished("/m", "00"),
    local.Failed("EmptyDataset", "no samples"),
    local.Warned("BadCheckpoint", "cut short"),
    local.HeldCheckpoints([local.Checkpointed(1, 40, "digest", "/x")]),
    local.Mended("BadCheckpoint"),
    local.Pong(),
    local.StoreSet(F, "k\n", "dg=="),
    local.Form(F, [local.Peer("a", "10.0.0.1", 7074)], 0, "a", "ring", local.Decision.REDO, 42, ["a"]),
    local.Halt(F),
    local.TryLinks(F),
    local.Reform(),
    local.Hold(32),
    local.Fetch(local.Peer("a", "10.0.0.1", 7074)),
    local.Start(2, local.Resume(40, 1, "digest")),
    local.Start(1),
    local.Stop(),
    local.Ping(),
]


def test_every_message_survives_the_way() -> None:
    here, there = (local.Link(sock) for sock in socket.socketpair())

    def send() -> None:
        for message in MESSAGES:
            here.send(message)
        here.close()

    sender = threading.Thread(target=send)
    sender.start()
    received = list(there.receive())
    sender.join()
    there.close()
    assert received == MESSAGES
    assert {type(m).__name__ for m in MESSAGES} >= {
        k for k in local.__all__ if k[0].isupper() and hasattr(getattr(local, k), "__dataclass_fields__")
    } - {"Peer", "Position", "Prepared", "Resume", "Totals"}


NONSENSE = [b"{", b"[]", b'{"type": "Nobody"}', b'{"type": "Halt"}', b'{"type": "Hold", "revision": "x"}']


@pytest.mark.parametrize("line", NONSENSE)
def test_nonsense_is_refused(line: bytes) -> None:
    with pytest.raises(local.BadMessage, match="no message of the local link"):
        local.decode(line)


def test_a_closed_link_says_so() -> None:
    here, there = (local.Link(sock) for sock in socket.socketpair())
    there.close()
    with pytest.raises(local.LinkClosed):
        for _ in range(100):
            here.send(local.Ping())
    here.close()
