"""What is counted against a job and its nodes, whatever happens to them in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edgetrain_operator.core.model import ContainerEnd
from edgetrain_protocol.run_policy import FailureAction, FailureRule
from tests.support.failing import DISRUPTED, RULES, crash, fail
from tests.support.world import trained

HAPPENS = st.sampled_from(["fails", "crashes", "is drained", "is evicted", "is deleted", "comes back"])


@settings(max_examples=50, deadline=None)
@given(RULES, st.lists(st.tuples(st.sampled_from("ab"), HAPPENS, st.integers(1, 6)), max_size=10))
def test_counts_are_sound_whatever_happens_in_whatever_order(
    rules: list[FailureRule], happenings: list[tuple[str, str, int]]
) -> None:
    written = [rule.to_wire() for rule in rules if rule.action is not FailureAction.FAIL_JOB]
    world = trained("a", "b", runPolicy={"backoffLimit": 1000, "failureRules": written})
    ends = 0
    for node, happens, code in happenings:
        if happens == "comes back" or not any(p.node == node and p.living for p in world.pods.values()):
            for _ in range(2):  # once its pod is seen gone, and once the next may be made
                world.finish_deletions()
                world.pass_time(1000)
                world.settle()
            continue
        ends += happens != "is deleted"
        match happens:
            case "fails":
                fail(world, node, code)
            case "crashes":
                crash(world, node, code, times=world.pod(node).crashes + 1)
            case "is drained":
                world.change_pod(node, conditions=DISRUPTED)
            case "is evicted":
                world.change_pod(node, phase="Failed", ends=(ContainerEnd("pod", "A"),))
            case "is deleted":
                world.change_pod(node, deleting=True)
        world.settle()
        for record in world.stored.workers.values():
            assert 0 <= record.common <= record.judged_failures <= record.failures
        assert 0 <= world.status.failures <= ends
