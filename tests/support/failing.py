"""How programs and pods of a job fail in memory, and rules of what that means."""

from typing import Any

from hypothesis import strategies as st

from edgetrain_operator.core.model import ContainerEnd
from edgetrain_operator.core.naming import worker_name
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.run_policy import FailureRule
from tests.support.world import World

DISRUPTED = {"DisruptionTarget": "True"}
ON_DRAIN = {"onPodConditions": [{"type": "DisruptionTarget"}]}


def on_code(*values: int, operator: str = "In") -> dict[str, Any]:
    return {"onExitCodes": {"operator": operator, "values": list(values)}}


def fail(world: World, node: str, code: int | None = 1, reason: str = "ProgramFailed") -> None:
    """Its supervisor tells, as it does before a kubelet can."""
    number = world.stored.workers[worker_name(node)].failed_incarnations + 1
    said = {"incarnation": f"{node}-{number}", "error": "it broke", "error_reason": reason}
    world.say(node, TrainerState.FAILED, exit_code=code, **said)
    world.settle()


def crash(world: World, node: str, code: int, reason: str = "Error", times: int = 1, **pod: Any) -> None:
    """Its kubelet tells, and nobody else."""
    end = ContainerEnd("trainer", reason, code, "it broke", times - 1)
    world.reports.pop(worker_name(node), None)
    world.change_pod(node, crashes=times, idle=True, ends=(end,), **pod)
    world.settle()


RULES = st.lists(
    st.builds(
        lambda action, what: FailureRule.model_validate({"action": action} | what),
        st.sampled_from(["FailJob", "Ignore", "Count"]),
        st.one_of(
            st.builds(
                lambda values, operator: on_code(*values, operator=operator),
                st.sets(st.integers(1, 5), min_size=1),
                st.sampled_from(["In", "NotIn"]),
            ),
            st.builds(lambda r: {"onReasons": sorted(r)}, st.sets(st.sampled_from(["A", "B"]), min_size=1)),
            st.just(ON_DRAIN),
        ),
    ),
    max_size=6,
)
