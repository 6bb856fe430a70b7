"""What has failed for days is tried again, as seldom as after an hour."""

from edgetrain.group.calls import LONGEST_CALL_SECONDS, Calls
from edgetrain_operator.core.attempts import LONGEST_RETRY_SECONDS, next_attempt
from edgetrain_operator.core.model import PLAN
from edgetrain_operator.runtime.memory import LONGEST_REFUSED_SECONDS, JobMemory
from edgetrain_operator.runtime.queue import LONGEST_RETRY_SECONDS as LONGEST_QUEUED_SECONDS
from edgetrain_operator.runtime.queue import KeyedQueue
from edgetrain_protocol.backoff import doubled
from tests.support.world import trained

COUNTED = 5000
"""More doublings than a float holds."""


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    assert [doubled(5.0, times, 30.0) for times in (0, 1, 2, 3, COUNTED)] == [5.0, 10.0, 20.0, 30.0, 30.0]


def test_a_key_that_fails_for_days_is_tried_again() -> None:
    queue = KeyedQueue[str]()
    delays = [queue.retry_delay("job") for _ in range(COUNTED)]
    assert max(delays) <= 1.2 * LONGEST_QUEUED_SECONDS


def test_what_is_refused_for_days_is_tried_again() -> None:
    memory = JobMemory(trained("a").observed().job)
    for _ in range(COUNTED):
        memory.refuse(PLAN, "PlanRefused", "no", 0.0)
    assert memory.refusals[PLAN].retry_at == LONGEST_REFUSED_SECONDS


def test_a_pod_that_ends_for_days_is_made_again() -> None:
    world = trained("a")
    records = {w: r.model_copy(update={"ends": COUNTED}) for w, r in world.stored.workers.items()}
    assert next_attempt(world.observed(), records, "a").record.retry_at == world.now + LONGEST_RETRY_SECONDS


def test_a_group_that_stands_still_for_months_is_looked_at() -> None:
    world = trained("a", "b")
    for _ in range(3):
        world.pass_time(100_000.0)
        for node in "ab":
            world.say(node, still_seconds=100_000.0)
        if stall := world.group.stall:
            late = stall.model_copy(update={"steps": COUNTED})
            group = world.group.model_copy(update={"stall": late})
            world.stored = world.stored.model_copy(update={"groups": {"all": group}})
        world.step()
    assert world.group.stall and world.group.stall.steps > COUNTED


def test_who_is_called_in_vain_for_hours_is_called_again() -> None:
    calls = Calls()
    for _ in range(COUNTED):
        calls.not_answered()
    assert calls.patience == LONGEST_CALL_SECONDS
