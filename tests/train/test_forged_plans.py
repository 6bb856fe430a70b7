"""One node taken over, over real connections to real supervisors: what it makes up moves nobody, and what the
operator has signed passes from hand to hand all the same."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from edgetrain.group.effects import Asked
from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Accepted, Record
from edgetrain.group.said import Call
from edgetrain.group.status import Stage, Status
from edgetrain.link import FormationId, StoreSet
from edgetrain.supervisor.wire import Passed, Spoken
from edgetrain_operator.fleet import ca
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.signed_plan import SignedPlan
from tests.support.fake_group import Start, pretending, trained
from tests.support.group import LocalGroup, Worker
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.support.histories import of_generation
from tests.support.identities import keyring, sign, signature_of, stranger
from tests.support.insider import insider

STOP, DEAF, CRASH = {"phase": "stop"}, {"lineage": 10**8}, {"founders": ["w0", "w1", "w2"]}


def forged(group: LocalGroup, **changes: Any) -> str:
    document = json.loads(sign(group.plan(revision=1000)).text)
    return json.dumps(document | changes)


def kept_plan(worker: Worker) -> Path:
    return worker.directory / "state" / "supervisor" / "plan.json"


def revision_held(worker: Worker) -> int:
    return SignedPlan.from_wire(kept_plan(worker).read_bytes()).plan.revision


def followed(group: LocalGroup) -> None:
    """All go on, also whoever starts again, and by the operator's plans."""
    group.next_commit(5)
    group.kill_supervisor(2)
    group.next_commit(6, but=(2,))
    group.start(2)
    wait_for(group.whole, 20, group.tail)
    group.give(group.plan(revision=2, members=[0, 1]))
    wait_for(lambda: group.whole(0, 1), 15, group.tail)


@pytest.mark.attack(7)
@pytest.mark.parametrize(
    ("changes", "signature"),
    [
        (STOP, lambda text: ""),
        (STOP, lambda text: signature_of(text, stranger())),
        (DEAF, lambda text: signature_of(text, stranger())),
        (CRASH, lambda text: signature_of(text, stranger())),
        (CRASH, signature_of),
    ],
)
def test_a_plan_that_a_node_taken_over_makes_up_is_refused_by_all(
    start: Start, tmp_path: Path, changes: dict[str, Any], signature: Callable[[str], str]
) -> None:
    group = trained(start(3))
    text = forged(group, **changes)
    with insider(group, tmp_path, Passed(text, signature(text))):
        wait_for(lambda: all("w9 passes on is refused" in w.errors for w in group.workers), 10, group.tail)
    followed(group)


@pytest.mark.attack(7)
def test_neither_an_old_plan_nor_one_of_another_job_is_taken(start: Start, tmp_path: Path) -> None:
    group = trained(start(3))
    old = sign(group.plan(revision=2, phase=Phase.STOP))
    group.give(group.plan(revision=3))
    wait_for(lambda: all(revision_held(worker) == 3 for worker in group.workers), 10, group.tail)
    others = sign(group.plan(revision=9, phase=Phase.STOP, job_uid="another"))
    with (
        insider(group, tmp_path, Passed(old.text, old.signature)),
        insider(group, tmp_path, Passed(others.text, others.signature), worker="w8"),
    ):
        # In their order: by the time that the second is refused, the first was looked at.
        told = "w8 passes on is refused: it is of job another"
        wait_for(lambda: all(told in w.errors for w in group.workers), 10, group.tail)
    group.next_commit(5)
    assert group.whole()


@pytest.mark.attack(7)
def test_a_kept_plan_that_makes_no_sense_is_set_aside(start: Start) -> None:
    group = trained(start(3))
    worker = group.workers[2]
    group.kill_supervisor(2)
    kept = kept_plan(worker)
    kept.write_text(json.dumps({"text": forged(group, **CRASH), "signature": ""}))
    group.next_commit(6, but=(2,))
    group.start(2)
    wait_for(group.whole, 20, group.tail)
    assert "plan.json cannot be read and is set aside" in worker.errors
    assert kept.with_suffix(".unreadable").exists()


def test_a_newcomer_brings_the_plan_that_has_it(tmp_path: Path) -> None:
    """The others cannot reach the operator, and know nothing of it before it dials them."""
    group = pretending(tmp_path, 4)
    try:
        group.give(group.plan(members=[0, 1, 2]), workers=[0, 1, 2])
        group.start(0, 1, 2)
        trained(group, 0, 1, 2)
        group.give(group.plan(revision=2), workers=[3])
        group.start(3)
        wait_for(group.whole, 20, group.tail)
    finally:
        group.close()


def test_a_plan_of_a_new_authority_passes_once_the_bundle_has_it(start: Start) -> None:
    group, new = trained(start(members=[0, 1, 2]), 0, 1, 2), stranger()
    group.give(group.plan(revision=2), workers=[1], by=new)
    others = [group.workers[i] for i in (0, 2)]
    wait_for(lambda: all("w1 passes on is refused" in w.errors for w in others), 10, group.tail)
    bundle = ca.bundle([*new.authorities, *keyring().authorities])
    for worker in group.workers:
        (worker.identity / "authorities.crt").write_text(bundle)
    group.give(group.plan(revision=3), workers=[1], by=new)
    wait_for(group.whole, 15, group.tail)


def members(*workers: str) -> tuple[Member, ...]:
    return tuple(Member(w, f"pod-{w}", "made up") for w in workers)


def made_up(worker: str) -> tuple[Spoken, ...]:
    """All that a supervisor acts on when its leader says it."""
    own = Pod(worker, f"pod-{worker}")
    formation = Formation(900, members(worker, "w0", "w1", "w2"), worker, 1)
    founding = Formation(0, tuple(m.founder() for m in members("w0", "w1", "w2")), "w0")
    ahead: dict[str, Any] = {"formation": 900, "formation_name": formation.name, "base": 900, "closed": 10**9}
    return (
        Status(own, formation.members[0], Stage.TRAINING, history=of_generation(1), revision=1, **ahead),
        Record(own, FIRST_HISTORY, founding, (Accepted(formation, formed=True),), promised=10**9),
        Call(FIRST_HISTORY, formation),
        Asked(FIRST_HISTORY, formation, formation.members[0]),
        StoreSet(FormationId(FIRST_HISTORY, 1, 1), "0", "MQ=="),
    )


@pytest.mark.attack(7)
def test_who_is_in_no_plan_is_not_heard(start: Start, tmp_path: Path) -> None:
    group = trained(start(3))
    calls = [w.errors.count("calls formation") for w in group.workers]
    with insider(group, tmp_path, *made_up("w9")):
        for _ in range(5):
            group.next_commit(2)
    assert group.whole()
    assert [w.errors.count("calls formation") for w in group.workers] == calls


def hung_up(workers: list[Worker], times: int) -> bool:
    """On w3, each of these so often."""
    return all(w.errors.count("w3 speaks in another's name") >= times for w in workers)


@pytest.mark.attack(7)
def test_who_speaks_in_another_s_name_is_hung_up_on(start: Start, tmp_path: Path) -> None:
    group = pretending(tmp_path / "group", 4)
    try:
        group.give(group.plan())
        group.start(0, 1, 2)
        trained(group, 0, 1, 2)
        for times, words in enumerate(made_up("w0")[:2], start=1):
            with insider(group, tmp_path, words, worker="w3"):
                wait_for(partial(hung_up, group.workers[:3], times), 10, group.tail)
        group.next_commit(2)
        assert group.whole(0, 1, 2)
    finally:
        group.close()
