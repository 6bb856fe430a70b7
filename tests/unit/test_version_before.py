"""What the version before groups has written is read: a job that trains goes on over an upgrade.

The files are as that version wrote them: a stored plan and votes of lineage 2, and a checkpoint.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgetrain.engine.errors import BadCheckpoint
from edgetrain.engine.state import manifest
from edgetrain.engine.state.checkpoint import Checkpoints, load
from edgetrain.group.record import Record
from edgetrain.group.status import Status
from edgetrain.supervisor import wire
from edgetrain.supervisor.disk import Disk
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_protocol.history import ALL, History, first_of
from edgetrain_protocol.plan import Plan
from edgetrain_protocol.report import TrainingPart
from tests.support.world import trained

FILES = Path(__file__).parent / "version_before"
HISTORY = first_of(2)


def stored() -> StoredPlan:
    return StoredPlan.from_wire((FILES / "plan.json").read_bytes())


def test_the_stored_plan_is_that_of_its_only_group() -> None:
    plan, group = stored().plan, stored().group(ALL)
    assert plan is not None and plan.find(ALL) is not None
    served = plan.slice_for(plan.members[0].worker)
    assert served.history == HISTORY
    assert served.origin and (served.origin.step, served.origin.history) == (8, first_of(1))
    assert len(served.founders) == len(served.groups[0].members) == 2
    assert (group.durable_step, group.left_at(first_of(1))) == (8, 8)
    assert group.office and group.office.node == "a"


def test_it_is_written_in_the_new_form_and_read_again() -> None:
    assert StoredPlan.from_wire(stored().to_document()) == stored()


def test_nothing_changes_for_workers_that_train_when_the_operator_is_upgraded() -> None:
    world = trained("a", "b", storage={"checkpoint": {"claim": {"size": "64Mi"}}})
    world.stored = stored()
    before, told = world.plan, len(world.told)
    world.train("a", "b", number=1, step=30)
    world.settle()
    assert world.plan.history == HISTORY
    assert (world.plan.groups, world.plan.founders) == (before.groups, before.founders)
    assert world.told[told:] == []


def test_a_report_of_the_version_before_names_its_lineage_alone() -> None:
    part = TrainingPart.model_validate({"state": "training", "incarnation": "i", "lineage": 2})
    assert part.history == HISTORY


def test_a_worker_of_the_version_before_reads_what_it_is_served() -> None:
    plan = stored().plan
    assert plan is not None
    document = plan.slice_for(plan.members[0].worker).to_wire()
    del document["group"], document["generation"]
    assert Plan.model_validate(document).history == HISTORY


def test_votes_are_kept(tmp_path: Path) -> None:
    shutil.copy(FILES / "votes.json", tmp_path)
    record = Disk(tmp_path).record()
    assert record is not None
    assert (record.history, record.promised, record.base.number) == (HISTORY, 4, 3)


def test_what_others_of_that_version_say_is_heard() -> None:
    """Else nobody would be told why they do not train together."""
    said = f'{{"kind":"Record","said":{(FILES / "votes.json").read_text()}}}'
    record = wire.decode(said.encode())
    assert isinstance(record, Record) and record.history == HISTORY
    told = wire.decode(b'{"kind":"Status","said":{"pod":["w-a","p"],"lineage":2,"layout":"of before"}}')
    assert isinstance(told, Status) and told.layout == "of before"
    assert not told.alike(replace(told, layout="of now"))


def test_checkpoints_are_found_and_loaded(tmp_path: Path) -> None:
    own = tmp_path / "a"
    own.mkdir()
    for file in FILES.glob("lineage-*"):
        shutil.copy(file, own)
    (held,) = Checkpoints(tmp_path, "a").held()
    assert held.place == (HISTORY, 10)
    assert load(held).position.history == HISTORY


def test_a_new_manifest_under_an_old_name_is_damage(tmp_path: Path) -> None:
    (old,) = FILES.glob("lineage-*.json")
    moved = tmp_path / old.name
    moved.write_text(old.read_text().replace('"lineage": 2', '"history": [2, "all", 1]'))
    with pytest.raises(BadCheckpoint, match="generation 1"):
        manifest.read(moved)
    assert manifest.stem(History(2, ALL, 1), 10) != old.stem
