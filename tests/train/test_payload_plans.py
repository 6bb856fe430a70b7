"""Real trainers under real supervisors: plans change how gradients are packed while they train."""

from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgetrain_protocol.strategy import Payload, Reduction
from tests.support.group import LocalGroup, Worker, training_group

START_SECONDS = 90
EPOCHS = 60


def packed_as(group: LocalGroup, worker: Worker) -> str:
    lines = [line for line in group.page(worker).splitlines() if line.startswith("edgetrain_payload{")]
    return lines[0].partition('payload="')[2].partition('"')[0] if lines else ""


def all_packed_as(group: LocalGroup, payload: Payload) -> bool:
    return group.whole() and all(packed_as(group, worker) == payload for worker in group.workers)


@pytest.mark.parametrize("reduction", [Reduction.STAR, Reduction.RING])
def test_a_plan_changes_the_payload_while_training(tmp_path: Path, reduction: Reduction) -> None:
    with training_group(
        tmp_path, 3, epochs=EPOCHS, start_seconds=START_SECONDS, reduction=reduction, payload=Payload.INT8
    ) as group:
        wait_for(lambda: all_packed_as(group, Payload.INT8), 30, group.tail)
        for revision, payload in enumerate((Payload.LOW_RANK, Payload.BF16, Payload.FP32, Payload.INT8), 2):
            before = group.step
            group.give(group.plan(revision=revision, reduction=reduction, payload=payload))
            wait_for(lambda payload=payload: all_packed_as(group, payload), 30, group.tail)  # type: ignore[misc]
            assert group.step > before
        group.hurry()
        wait_for(lambda: len(group.finished) == 3, 2 * START_SECONDS, group.tail)
        group.check_history()
        models = [worker.lines("finished")[-1]["model"] for worker in group.finished]
        assert all(model == models[0] for model in models)
