"""One worker tells lies of its group: the job trains on as if it had not, through the others' faults too."""

from collections.abc import Callable

import pytest

from edgetrain_protocol.report import Formation, Quorum, TrainerState, TrainingPart, Voter
from tests.model.job import Job, training_job

FAR = 10**9
Lie = Callable[[TrainingPart], TrainingPart]


def of_a_formation(members: Callable[[TrainingPart], tuple[str, ...]], state: TrainerState) -> Lie:
    """It is far ahead, and none of these can vote in it again."""

    def lie(part: TrainingPart) -> TrainingPart:
        if part.formation is None:
            return part
        workers = members(part)
        far = Formation(
            **part.history._asdict(), revision=1, number=FAR, aggregator=workers[0], members=workers
        )
        voters = tuple(Voter(worker=worker, pod_uid="gone") for worker in workers)
        counted = (Quorum(number=FAR, aggregator=workers[0], voters=voters),)
        new = {"formation": far, "base": FAR, "counted": counted, "state": state, "step": part.step + FAR}
        return part.model_copy(update=new)

    return lie


def _others(part: TrainingPart) -> tuple[str, ...]:
    assert part.formation
    return part.formation.members


LIES = {
    "of strangers": of_a_formation(lambda _: ("x", "y"), TrainerState.TRAINING),
    "of all, which stands still": of_a_formation(_others, TrainerState.PAUSED),
    "of all, which trains": of_a_formation(_others, TrainerState.TRAINING),
}


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("lie", LIES)
def test_one_liar_stops_nothing(lie: str, size: int) -> None:
    job = training_job(size, seed=size)
    liar = job.index[job.world.plan.groups[0].succession[1]]
    honest = [index for index in range(size) if index != liar]
    job.lies[liar] = LIES[lie]
    goes_on(job, 15)
    job.fail_program(honest[0])
    goes_on(job, 20)
    job.take_over()
    goes_on(job, 10)
    del job.lies[liar]
    assert job.run(30, job.whole), job.why()
    assert (job.generation, "NewGeneration" in job.world.told) == (1, False), job.why()
    formation = job.world.group.formation
    assert formation and formation.number < FAR


def goes_on(job: Job, seconds: int) -> None:
    """Steps are committed all the while; a lost member may take some seconds."""
    for _ in range(seconds // 5):
        assert job.commits_again(5), job.why()
        job.run(4)
        assert job.generation == 1, job.why()
