"""Checkpoints: written while training, verified on load, and a job goes on from them as if never stopped."""

import resource
from dataclasses import replace
from pathlib import Path

import pytest

from edgetrain import link
from tests.support.histories import FIRST as FIRST_HISTORY
from tests.support.histories import of_generation
from tests.support.identities import JOB
from tests.support.trainers import Coordinator, Trainer, coordinating, stop_all

NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def trained(root: Path, **options: object) -> Coordinator:
    """A job of two whose checkpoints are all there."""
    with coordinating(root, checkpoint_every=0.05, epochs=6, pause=0.02, **options) as group:
        group.start(group.spawn_all("a", "b"))
        group.run()
        stop_all(group)
    return group


def saved(trainer: Trainer) -> dict[int, str]:
    return {m.step: m.path for m in trainer.said if isinstance(m, link.Checkpointed)}


def named(trainer: Trainer, step: int) -> link.Resume:
    """That checkpoint of this trainer's, by its full name."""
    said = (m for m in trainer.said if isinstance(m, link.Checkpointed) and m.step == step)
    one = next(said)
    return link.Resume(one.step, one.history, one.digest)


def test_both_savers_write_the_same_steps_and_keep_the_last(tmp_path: Path) -> None:
    group = trained(tmp_path)
    first, second = (saved(t) for t in group.trainers)
    assert len(first) > 3
    common = first.keys() & second.keys()
    assert common
    digests = {(m.step, m.digest) for t in group.trainers for m in t.said if isinstance(m, link.Checkpointed)}
    assert len([step for step, _ in digests if step in common]) == len(common)
    for steps in (first, second):
        kept = [Path(path).exists() for _, path in sorted(steps.items())]
        assert kept == [False] * (len(kept) - 3) + [True] * 3


def test_a_job_goes_on_from_what_is_on_disk(tmp_path: Path) -> None:
    """All processes are gone; one of the new ones has no checkpoint. Every sample is still seen once."""
    whole = trained(tmp_path / "whole").members[0].summary()
    root = tmp_path / "stopped"
    with coordinating(root, checkpoint_every=0.05, epochs=6, pause=0.02) as group:
        group.start(group.spawn_all("a", "b"))
        group.until(lambda: all(saved(t) for t in group.members))
        durable = max(saved(group.members[0]).keys() & saved(group.members[1]).keys(), default=0)
        group.until(lambda: group.committed() > durable)
    with coordinating(root, epochs=6) as again:
        (root / "checkpoints" / JOB / "b").rename(root / "away")
        again.start(again.spawn_all("a", "b"), resume=named(group.members[0], durable))
        assert {t.last(link.Started).position.committed for t in again.members} == {durable}
        again.run()
        summaries = [t.summary() for t in again.members]
        assert summaries[0] == summaries[1]
        assert summaries[0]["seen"] == whole["seen"]
        assert summaries[0]["lr"] == pytest.approx(whole["lr"], rel=0.2)
        stop_all(again)


def test_a_checkpoint_cut_short_is_refused_and_told_to_be_held_no_more(tmp_path: Path) -> None:
    group = trained(tmp_path)
    steps = saved(group.trainers[0])
    newest, before = sorted(steps)[-1], sorted(steps)[-2]
    broken = Path(steps[newest])
    broken.write_bytes(broken.read_bytes()[:-100])
    (Path(steps[before]).parent / "lineage-0001-all-0001-step-0000009999.json").write_text('{"lineage": 1')
    with coordinating(tmp_path, epochs=6) as again:
        (trainer,) = again.spawn_all("a")
        assert {newest, before} <= {c.step for c in trainer.last(link.HeldCheckpoints).checkpoints}
        for path in (tmp_path / "checkpoints" / JOB / "b").iterdir():
            path.unlink()
        again.start([trainer], resume=named(group.trainers[0], newest))
        assert trainer.last(link.Started).position.committed == 0
        held = {c.step for c in trainer.last(link.HeldCheckpoints).checkpoints}
        assert before in held and newest not in held
        warned = [m for m in trainer.said if isinstance(m, link.Warned)]
        assert {m.reason for m in warned} == {"BadCheckpoint"}
        texts = " ".join(m.error for m in warned)
        assert f"{broken} is cut short" in texts
        assert "delete it; the checkpoint before it is used" in texts
        assert "step-0000009999.json is damaged" in texts


def test_another_checkpoint_of_the_same_step_is_not_taken_for_it(tmp_path: Path) -> None:
    group = trained(tmp_path)
    newest = max(saved(group.trainers[0]))
    wanted = named(group.trainers[0], newest)
    for other in (replace(wanted, digest="other"), replace(wanted, history=of_generation(2))):
        with coordinating(tmp_path, epochs=6) as again:
            again.start(again.spawn_all("a"), resume=other)
            assert again.members[0].last(link.Started).position.committed == 0


def test_who_began_from_a_checkpoint_gives_it_to_who_has_none(tmp_path: Path) -> None:
    """It is in sync with nobody yet: the others need its state for the first formation of the generation."""
    group = trained(tmp_path)
    newest = max(saved(group.trainers[0]))
    with coordinating(tmp_path, epochs=6) as again:
        holder, other = again.spawn_all("a", "b")
        holder.send(link.Start(again.history, named(group.trainers[0], newest)))
        again.until(lambda: holder.last(link.Started) is not None)
        other.send(link.Fetch(holder.peer))
        again.until(lambda: other.last(link.CaughtUp) is not None)
        assert other.last(link.CaughtUp).position.committed == newest


def test_without_a_checkpoint_training_starts_afresh(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=1) as group:
        group.start(group.spawn_all("a"), resume=link.Resume(100, FIRST_HISTORY, "digest"))
        assert group.members[0].last(link.Started).position == link.Position(history=of_generation(1))
        group.run()


def test_a_full_disk_is_told_and_ends_nothing(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=40, checkpoint_every=0.01, pause=0.01) as group:
        group.start(group.spawn_all("a", options={"a": {"file_bytes": 1000}}))
        (trainer,) = group.members
        group.until(lambda: trainer.last(link.Warned))
        warning = trainer.last(link.Warned)
        assert warning.reason == "CheckpointNotSaved"
        assert "File too large; see to room and rights on spec.storage.checkpoint" in warning.error
        group.step_after(lambda: None)
        assert not trainer.last(link.Checkpointed, link.Mended)
        # Somebody makes room.
        assert trainer.process.pid
        resource.prlimit(trainer.process.pid, resource.RLIMIT_FSIZE, NO_LIMIT)
        group.until(lambda: trainer.last(link.Checkpointed))
        group.until(lambda: trainer.last(link.Mended) == link.Mended("CheckpointNotSaved"))


def test_a_volume_that_cannot_be_written_ends_the_program_before_it_is_ready(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the directory should be")
    with coordinating(tmp_path) as group:
        (trainer,) = group.spawn_all("a")
        group.until(lambda: not trainer.alive)
        failed = trainer.last(link.Failed)
        assert failed.reason == "VolumeNotWritable"
        where = f"spec.storage.checkpoint: {tmp_path}/checkpoints/{JOB}/a"
        assert f"{where} cannot be written (ENOTDIR" in failed.error
        assert not trainer.last(link.Ready)


def test_a_loss_that_is_lost_for_good_keeps_the_last_finite_checkpoint(tmp_path: Path) -> None:
    first = 12
    nan = range(first, 10**6)
    with coordinating(tmp_path, epochs=12, checkpoint_every=0.01, pause=0.03, nan_steps=list(nan)) as group:
        group.start(group.spawn_all("a", "b"))
        group.until(lambda: group.committed() > first + 3)
        group.join(group.spawn("c"))
        group.run()
        for trainer in group.members:
            told = [m for m in trainer.said if isinstance(m, link.Progress) and m.step > 0]
            assert {m.not_finite_since for m in told if m.step >= first} == {first}, trainer.worker
            assert {m.not_finite_since for m in told if m.step < first} <= {None}
        for trainer in group.members[:2]:
            steps = saved(trainer)
            assert 3 < max(steps) < first
            assert [Path(path).exists() for _, path in sorted(steps.items())][-3:] == [True] * 3
        stop_all(group)
        assert max(saved(group.members[0])) < first, "not when stopped either"


def test_a_step_that_a_scaler_passes_over_delays_a_checkpoint_and_no_more(tmp_path: Path) -> None:
    with coordinating(
        tmp_path, epochs=12, checkpoint_every=0.01, pause=0.02, scaler=True, nan_steps=[3, 4, 9]
    ) as group:
        group.start(group.spawn_all("a", "b"))
        group.run()
        steps = saved(group.members[0])
        assert steps.keys().isdisjoint({3, 4, 9})
        assert max(steps) == group.committed() == 60
        assert group.members[0].last(link.Progress).not_finite_since is None
        assert not group.members[0].last(link.Warned)
        stop_all(group)


def test_parameters_that_are_not_finite_are_no_checkpoint_though_the_loss_is(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=6, checkpoint_every=0.01, pause=0.02, spoil_at=8) as group:
        group.start(group.spawn_all("a"))
        group.run()
        (trainer,) = group.members
        assert max(saved(trainer)) < 8
        warned = [m for m in trainer.said if isinstance(m, link.Warned)]
        assert [m.reason for m in warned] == ["CheckpointNotSaved"], "once, not at each boundary"
        assert "the parameters after step 8 are not finite: the last checkpoint" in warned[0].error


def test_a_model_that_cannot_be_written_is_kept_in_memory_until_it_can(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=2, pause=0.01) as group:
        group.start(group.spawn_all("a", "b"))
        for worker in "ab":
            (tmp_path / f"model-{worker}").write_text("a file where the directory should be")
        group.until(lambda: all(t.last(link.Warned) for t in group.members))
        assert {t.last(link.Warned).reason for t in group.members} == {"ModelNotSaved"}
        assert not any(t.last(link.Finished, link.Failed) for t in group.members)
        (tmp_path / "model-a").unlink()
        group.until(lambda: group.members[0].last(link.Finished))
        assert group.members[0].last(link.Mended) == link.Mended("ModelNotSaved")
        assert group.members[1].alive and not group.members[1].last(link.Finished, link.Mended)
        group.members[1].send(link.Stop())
        group.until(lambda: not group.members[1].alive)
        group.members[1].process.join()
        assert group.members[1].process.exitcode == 0


def test_what_fails_after_the_last_step_costs_no_step(tmp_path: Path) -> None:
    """The model could not be written, the programs ended: those that follow have nothing left to train."""
    with coordinating(tmp_path, epochs=2, pause=0.01) as group:
        group.start(group.spawn_all("a", "b"))
        for worker in "ab":
            (tmp_path / f"model-{worker}").write_text("a file where the directory should be")
        group.until(lambda: all(t.last(link.Warned) for t in group.members))
        last = group.committed()
        assert {max(saved(t)) for t in group.members} == {last}, "before the model"
    for worker in "ab":
        (tmp_path / f"model-{worker}").unlink()
    with coordinating(tmp_path, epochs=2) as again:
        again.start(again.spawn_all("a", "b"), resume=named(group.members[0], last))
        assert {t.last(link.Started).position.committed for t in again.members} == {last}
        again.run()
        assert not any(m.step > last for t in again.members for m in t.said if isinstance(m, link.Progress))
        stop_all(again)


def test_stop_saves_the_boundary(tmp_path: Path) -> None:
    with coordinating(tmp_path, epochs=200, pause=0.01) as group:
        (trainer,) = group.spawn_all("a")
        group.start([trainer])
        group.until(lambda: group.committed() >= 3)
        trainer.send(link.Stop())
        group.until(lambda: not trainer.alive)
        trainer.process.join()
        assert trainer.process.exitcode == 0
        assert trainer.last(link.Checkpointed).step >= 3
