"""The local link: every message survives the way over a real socket, and nonsense is refused."""

import socket
import threading

import pytest

from edgetrain import link
from edgetrain.link import FormationId
from edgetrain_protocol.strategy import Payload, Reduction
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.support.histories import of_generation

F = FormationId(history=of_generation(2), number=7, revision=31)
P = link.Position(of_generation(2), F, 41, link.Prepared(F, 42))
STAR = link.Terms(Reduction.STAR)
MESSAGES: list[link.Message] = [
    link.Ready("abc", ["w [2, 3] float32"], link.Position()),
    link.Started(P),
    link.Progress(
        F,
        "reduce",
        42,
        loss=0.5,
        not_finite_since=40,
        phase_seconds={"reduce": 0.1},
        metrics={"accuracy": 0.9},
    ),
    link.Progress(F, "apply", 43, totals=link.Totals(43, 2752, {"reduce": 4.5}, {"wan": [10, 20]})),
    link.Exchanged(7, 6, 480, 960, 3, "no holder leads"),
    link.Built(F),
    link.BuildFailed(F, ["b"], "refused"),
    link.Broken(F, P, "reset", ["b"]),
    link.Stuck(F, ["b"]),
    link.Halted(F, P),
    link.CaughtUp(P),
    link.Loaded(P),
    link.FetchFailed("a", "timed out"),
    link.Checkpointed(of_generation(2), 40, "00", "/x"),
    link.StoreRead(),
    link.Transferring(),
    link.Finished("/m", "00", ""),
    link.Failed("EmptyDataset", "no samples"),
    link.Warned("BadCheckpoint", "cut short"),
    link.HeldCheckpoints([link.Checkpointed(FIRST_HISTORY, 40, "digest", "/x")]),
    link.Mended("BadCheckpoint"),
    link.Pong(),
    link.StoreSet(F, "k\n", "dg=="),
    link.Form(
        F,
        [link.Peer("a", "10.0.0.1", 7074)],
        0,
        "a",
        link.Decision.REDO,
        42,
        ["a"],
        link.Terms(
            Reduction.STAR,
            payload=Payload.LOW_RANK,
            rounds=link.RoundTerms(16, (link.HolderAddress("a", "10.0.0.1", 7075),)),
        ),
    ),
    link.Halt(F),
    link.TryLinks(F),
    link.Reform(),
    link.Hold(32),
    link.Fetch(link.Peer("a", "10.0.0.1", 7074)),
    link.Start(of_generation(2), link.Resume(40, FIRST_HISTORY, "digest")),
    link.Start(FIRST_HISTORY),
    link.Finish(),
    link.Finish(wanted=False),
    link.Stop(),
    link.Ping(),
]


def test_every_message_survives_the_way() -> None:
    here, there = (link.Link(sock) for sock in socket.socketpair())

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
        k for k in link.__all__ if k[0].isupper() and hasattr(getattr(link, k), "__dataclass_fields__")
    } - {"Peer", "Position", "Prepared", "Resume", "Totals"}


def test_a_number_that_is_not_finite_comes_as_none() -> None:
    said = link.Progress(F, "apply", 43, loss=float("nan"), metrics={"accuracy": float("inf"), "seen": 2.0})
    heard = link.decode(link.encode(said))
    assert isinstance(heard, link.Progress)
    assert (heard.loss, heard.metrics) == (None, {"accuracy": None, "seen": 2.0})


NONSENSE = [b"{", b"[]", b'{"type": "Nobody"}', b'{"type": "Halt"}', b'{"type": "Hold", "revision": "x"}']


@pytest.mark.parametrize("line", NONSENSE)
def test_nonsense_is_refused(line: bytes) -> None:
    with pytest.raises(link.BadMessage, match="no message of the local link"):
        link.decode(line)


def test_a_closed_link_says_so() -> None:
    here, there = (link.Link(sock) for sock in socket.socketpair())
    there.close()
    with pytest.raises(link.LinkClosed):
        for _ in range(100):
            here.send(link.Ping())
    here.close()
