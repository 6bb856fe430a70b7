"""Why things are as they are, in status: last words that outlive pods, silence, hints, how a job ended."""

from dataclasses import replace

import pytest

from edgetrain_operator.core.lifecycle import WIND_DOWN_SECONDS
from edgetrain_operator.core.model import ContainerEnd
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.stored_signs import WORDS_MAX, LastEnd
from edgetrain_operator.core.unheard import NEVER_HEARD_SECONDS, NOT_STARTED_SECONDS
from edgetrain_operator.core.words import KEPT, clipped, words_of
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.report import NodePart, TrainerState
from tests.support.world import World, edge_node, trained

NO_MODULE = "Traceback:\nModuleNotFoundError: No module named 'edgetrain'"


def last(world: World, node: str) -> LastEnd:
    return world.stored.workers[worker_name(node)].last_ends["trainer"]


@pytest.mark.parametrize(
    ("end", "reason", "words"),
    [
        (ContainerEnd("trainer", "Error", 1, "OutOfMemory: limit 128 MiB"), "OutOfMemory", "limit 128 MiB"),
        (ContainerEnd("trainer", "Error", 1, "ValueError: mine"), "ProgramFailed", "ValueError: mine"),
        (ContainerEnd("trainer", "Error", 3), "ProgramFailed", "status 3, without a word"),
        (ContainerEnd("profiler", "Error", 1, NO_MODULE), "ProfilerFailed", "ModuleNotFoundError"),
        (ContainerEnd("trainer", "OOMKilled", 137, "a log", 0, "128Mi"), "OutOfMemory", "limit of 128Mi"),
        (ContainerEnd("trainer", "OOMKilled", 137), "OutOfMemory", "its node's memory"),
        (ContainerEnd("trainer", "StartError", 128, 'exec: "pyton"'), "CommandNotFound", "pyton"),
        (ContainerEnd("pod", "Evicted", message="low on memory"), "Evicted", "low on memory"),
    ],
)
def test_an_end_has_a_reason_and_words(end: ContainerEnd, reason: str, words: str) -> None:
    assert words_of(end)[0] == reason and words in words_of(end)[1]


def test_a_long_text_keeps_its_end_and_some_of_its_beginning() -> None:
    short = clipped("begin" + "x" * 5000 + "the point", 600)
    assert len(short) == 600 and short.startswith("begin") and short.endswith("the point")
    assert clipped("short", 600) == "short"


def test_the_last_words_of_a_program_that_was_never_heard_are_why_the_job_failed() -> None:
    world = World.of("a", "b", runPolicy={"backoffLimit": 6})
    world.settle()
    for times in (1, 2, 3, 4):
        world.crash("a", times, NO_MODULE)
        world.crash("b", min(times, 3), NO_MODULE)
        if times < 4:
            assert world.line("a").state == "Failed" and NO_MODULE in world.line("a").message
            assert world.condition("Degraded").reason == "ProgramFailed"
            assert "also ProgramFailed on b" in world.condition("Degraded").message
            assert NO_MODULE in world.condition("Training").message
    failed = world.condition("Failed")
    assert "7 failures, runPolicy.backoffLimit is 6" in failed.message and NO_MODULE in failed.message
    world.pass_time(WIND_DOWN_SECONDS)
    world.settle()
    world.finish_deletions()
    assert not world.pods
    world.settle()
    assert world.condition("Failed") == failed
    assert world.line("a").state == "Failed" and NO_MODULE in world.line("a").message


def test_words_outlive_the_pod_and_the_operator_that_heard_them() -> None:
    world = trained("a", "b")
    world.say("b", TrainerState.FAILED, error="x" * 3000 + "the point", error_reason="ProgramFailed")
    world.settle()
    assert last(world, "b").words.endswith("the point") and len(last(world, "b").words) == WORDS_MAX
    for attempt in (1, 2):
        world.change_pod("b", phase="Failed")
        world.settle()
        assert world.line("b").message.startswith("b: xxx") and world.pod("b").attempt in (
            attempt,
            attempt + 1,
        )
        world.finish_deletions()
    world.reports.clear()
    world.since = world.now
    world.train("a")
    world.settle()
    assert "the point" in world.line("b").message


def test_words_are_settled_once_a_later_start_is_ready() -> None:
    world = trained("a", "b")
    world.say("b", TrainerState.FAILED, error="bad", error_reason="ProgramFailed")
    world.crash("b", 1, "ProgramFailed: bad")
    assert not last(world, "b").settled
    world.change_pod("b", idle=False)
    world.say("b", TrainerState.STARTING, incarnation="second")
    world.settle()
    assert "bad" in world.line("b").message, "it has not got further than the last one"
    world.say("b", TrainerState.WAITING, incarnation="second")
    world.train("a")
    world.settle()
    assert last(world, "b").settled and not world.line("b").message
    assert world.condition("Degraded").reason == "FewerWorkers"


def test_what_was_said_before_a_kill_settles_nothing() -> None:
    """The newest report is of the very program that the kernel ended."""
    world = trained("a", "b")
    end = ContainerEnd("trainer", "OOMKilled", 137, "", 0, "128Mi")
    world.change_pod("b", crashes=1, idle=True, ends=(end,))
    world.pass_time(8)
    world.train("a")
    world.settle()
    assert not last(world, "b").settled
    assert world.line("b").state == "Failed"
    assert world.condition("Degraded").reason == "OutOfMemory"
    assert "memory limit of 128Mi; raise the container's memory limit" in world.line("b").message


def test_an_end_of_which_both_tell_is_one_and_one_in_the_next_pod_is_another() -> None:
    world = trained("a", "b")
    world.say("b", TrainerState.FAILED, incarnation="first", error="bad", error_reason="ProgramFailed")
    world.settle()
    world.say("b", incarnation="second")
    world.train("a")
    world.settle()
    end = ContainerEnd("trainer", "Error", 1, "ProgramFailed: bad")
    world.change_pod("b", crashes=1, ends=(end,))
    world.settle()
    assert last(world, "b").settled, "the kubelet is late"
    world.change_pod("b", phase="Failed")
    world.settle()
    world.finish_deletions()
    world.change_pod("b", phase="Running", crashes=1, idle=True, ends=(end,))
    world.settle()
    assert world.pod("b").attempt == 2 and not last(world, "b").settled


def test_an_end_that_is_told_when_the_next_start_trains_already_is_settled_by_what_follows() -> None:
    world = trained("a", "b")
    world.change_pod("b", crashes=1, ends=(ContainerEnd("trainer", "OOMKilled", 137),))
    world.settle()
    assert not last(world, "b").settled, "the killed one may have sent its report just before"
    world.pass_time(8)
    world.train("a", "b")
    world.settle()
    assert last(world, "b").settled and not world.line("b").message


def test_a_profiler_that_ends_is_told_until_it_is_heard_again() -> None:
    world = trained("a")
    world.change_pod("a", ends=(ContainerEnd("profiler", "Error", 1, "no such module"),))
    world.settle()
    assert world.condition("Degraded").reason == "ProfilerFailed"
    assert "profiler: no such module" in world.line("a").message and world.line("a").state == "Training"
    world.pass_time(1)
    stamped = world.reports[worker_name("a")]
    world.reports[worker_name("a")] = replace(stamped, measured=NodePart(), measured_received=world.now)
    world.settle()
    assert world.condition("Degraded").status == "False"


def test_words_of_the_newest_are_kept_and_the_document_stays_small() -> None:
    names = [f"n{number:03d}" for number in range(KEPT + 20)]
    world = World.of(*names, nodes={"max": 200}, runPolicy={"backoffLimit": 1000})
    world.settle()
    for number, name in enumerate(names):
        world.pass_time(number < 21)
        world.change_pod(name, phase="Running", crashes=1, ends=(ContainerEnd("trainer", "", 1, "w" * 900),))
        if number < 21 or name == names[-1]:
            world.step()
    kept = [name for name in names if last(world, name).words]
    assert len(kept) == KEPT and names[0] not in kept and last(world, names[0]).reason == "ProgramFailed"


def test_a_new_pod_whose_profiler_is_heard_first_is_not_silent() -> None:
    """Nor given up, however long the operator has been there."""
    world = World.of("a", "b", elastic={"offlineGraceSeconds": 60})
    world.settle()
    pods = set(world.pods)
    for node in "ab":
        world.measure_first(node)
    for _ in range(3):
        world.settle()
        assert set(world.pods) == pods and not any(pod.deleting for pod in world.pods.values())
        assert world.condition("Training").reason == "Starting"
        assert set(world.lines().values()) == {"Starting"}
        world.pass_time(5)


def test_a_worker_that_nobody_ever_heard_is_named_with_the_address_that_it_dials() -> None:
    world = World.of("a", "b")
    world.settle()
    for node in "ab":
        world.change_pod(node, phase="Running", ready=True)
    world.settle()
    world.pass_time(NEVER_HEARD_SECONDS - 1)
    world.settle()
    assert world.condition("Training").reason == "Starting"
    world.pass_time(1)
    world.settle()
    training = world.condition("Training")
    assert (training.status, training.reason) == ("False", "NeverHeard")
    assert "a: its supervisor has never been heard" in training.message
    assert "it dials fleet.example:8443: see that this address reaches" in training.message
    assert "also NeverHeard on b" in world.condition("Degraded").message
    assert world.lines() == {"a": "Lost", "b": "Lost"}
    assert world.told.count("NeverHeard") >= 1


def test_nobody_is_called_unheard_who_was_heard_or_cannot_be_or_by_an_operator_that_just_began() -> None:
    world = World.of("heard", "dark", "crashing", "pulling", "waiting")
    world.settle()
    world.say("heard", TrainerState.STARTING)
    world.change_pod("dark", phase="Running")
    world.change_pod("waiting", phase="Running")
    world.change_pod("crashing", phase="Running", idle=True)
    world.settle()
    world.nodes["dark"] = replace(world.nodes["dark"], ready=False)
    world.pass_time(1000)
    world.reports.clear()
    world.since = world.now - 10
    world.settle()
    reasons = [c.reason for c in world.status.conditions]
    assert "NeverHeard" not in reasons, world.status.conditions
    world.change_pod("pulling", phase="Running")
    world.settle()
    world.pass_time(NEVER_HEARD_SECONDS)
    world.settle()
    assert world.condition("Degraded").message.startswith("pulling: its supervisor has never been heard")


def test_an_unheard_supervisor_is_named_though_its_profiler_is_heard() -> None:
    world = trained("a", "b")
    world.nodes["c"] = edge_node("c")
    world.settle()
    world.say("c")
    head = world.reports[worker_name("c")].head
    for _ in range(2):
        world.reports[worker_name("c")] = StampedReport(
            head, measured=NodePart(), measured_received=world.now
        )
        world.train("a", "b")
        world.settle()
        world.pass_time(NEVER_HEARD_SECONDS / 2)
    world.train("a", "b")
    world.settle()
    degraded = world.condition("Degraded")
    assert degraded.reason == "NeverHeard"
    assert "and its profiler is heard: see `kubectl logs" in degraded.message
    assert world.condition("Training").status == "True"


def test_a_worker_that_is_heard_no_more_though_its_node_is_ready_is_named() -> None:
    world = trained("a", "b", "c")
    for _ in range(8):
        world.pass_time(8)
        world.train("a", "b", number=2, lost=("c",))
        world.settle()
    degraded = world.condition("Degraded")
    assert degraded.reason == "NotHeard" and degraded.message.startswith("c: not heard since")
    assert "it dials fleet.example:8443" in degraded.message
    assert world.lines()["c"] == "Lost" and world.line("c").message == degraded.message
    world.nodes["c"] = replace(world.nodes["c"], ready=False)
    world.settle()
    assert world.condition("Degraded").reason == "WorkersMissing"
    assert world.line("c").message.startswith("not heard since")


def test_a_worker_that_falls_silent_never_reads_as_one_that_starts() -> None:
    world = trained("a", "b", "c")
    said = []
    for _ in range(12):
        world.pass_time(1)
        world.train("a", "b", number=2, lost=("c",))
        world.step()
        said.append(world.lines()["c"])
    assert said[-1] == "Lost" and "Starting" not in said


def test_a_paused_worker_that_is_heard_says_what_it_waits_for() -> None:
    world = trained("a", "b", "c")
    waits = f"others have gone on without us: {worker_name('a')} is to ask us in"
    world.train("a", "b", number=2, lost=("c",))
    world.say("c", TrainerState.PAUSED, waits=waits)
    world.settle()
    assert world.line("c").message == "others have gone on without us: a is to ask us in"


def test_a_whole_job_that_is_heard_no_more_trains_on_as_far_as_is_known_and_says_what_to_check() -> None:
    world = trained("a", "b")
    world.pass_time(NEVER_HEARD_SECONDS + 1)
    world.settle()
    assert world.condition("Training").message == "as far as was last heard"
    assert world.condition("Degraded").reason == "NotHeard"
    assert "also NotHeard on b" in world.condition("Degraded").message
    assert world.lines() == {"a": "Paused", "b": "Paused"}


def test_a_pod_that_has_run_and_starts_anew_with_its_node_is_not_one_that_never_did() -> None:
    world = trained("a", "b")
    world.pass_time(NOT_STARTED_SECONDS)
    for node in "ab":
        world.change_pod(node, phase="Pending", ready=False)
    world.settle()
    assert "NotStarted" not in {condition.reason for condition in world.status.conditions}


def test_a_pod_whose_containers_do_not_come_up_is_named_after_a_while() -> None:
    world = World.of("a", "b")
    world.settle()
    world.pass_time(NOT_STARTED_SECONDS - 1)
    world.settle()
    assert world.condition("Training").reason == "Starting"
    world.pass_time(1)
    world.settle()
    assert world.condition("Training").reason == "NotStarted"
    assert f"kubectl describe pod {world.pod('a').name}" in world.line("a").message
    assert world.lines() == {"a": "Pending", "b": "Pending"}
    world.nodes["a"] = replace(world.nodes["a"], ready=False)
    world.settle()
    assert "waits for the node to be Ready" in world.line("a").message


def test_a_matching_node_that_can_have_no_worker_is_named_though_there_are_enough() -> None:
    world = trained("a", "b")
    world.nodes["c"] = edge_node("c", unschedulable=True)
    world.settle()
    scheduled = world.condition("Scheduled")
    assert scheduled.message == "2 of 2 nodes have a worker's pod; without one: c: the node is cordoned"


def test_a_pod_that_dials_what_was_the_address_once_is_to_be_deleted() -> None:
    world = World.of("a")
    world.settle()
    world.change_pod("a", phase="Running", fleet_address="old.example:1")
    world.settle()
    world.pass_time(NEVER_HEARD_SECONDS)
    world.settle()
    assert "it dials old.example:1, and the installation's address is fleet.example:8443 by now" in (
        world.condition("Training").message
    )


def test_a_node_that_has_lost_its_label_is_named_until_it_is_gone_or_has_it_again() -> None:
    world = trained("a", "b")
    del world.nodes["b"]
    world.strangers["b"] = edge_node("b", labels={})
    world.train("a")
    world.settle()
    scheduled = world.condition("Scheduled")
    assert scheduled.status == "True"
    assert "without one: b had one and lacks the label node-role.kubernetes.io/edge" in scheduled.message
    world.strangers.clear()
    world.settle()
    assert "had one" not in world.condition("Scheduled").message
    world.nodes["b"] = edge_node("b")
    world.settle()
    assert "had one" not in world.condition("Scheduled").message


def test_a_node_that_the_selector_passes_over_by_now_is_named() -> None:
    world = World(spec={"nodes": {"selector": {"matchLabels": {"site": "x"}}}})
    both = {"node-role.kubernetes.io/edge": "", "site": "x"}
    world.nodes = {name: edge_node(name, labels=both) for name in "ab"}
    world.settle()
    world.nodes["b"] = edge_node("b")
    world.settle()
    text = "b had one and is not selected by spec.nodes.selector any more"
    assert text in world.condition("Scheduled").message
    world.nodes["a"] = edge_node("a")
    world.settle()
    scheduled = world.condition("Scheduled")
    assert scheduled.reason == "NoMatchingNodes" and text in scheduled.message


def test_nodes_that_are_left_out_on_purpose_are_no_hint() -> None:
    world = trained("a", "b")
    world.spec = {"nodes": {"exclude": ["b"]}}
    world.train("a")
    world.settle()
    assert "had one" not in world.condition("Scheduled").message


def test_a_job_whose_programs_all_wait_to_be_started_again_does_not_train() -> None:
    """Nobody is heard, and by the kubelets' word nobody runs."""
    world = trained("a", "b")
    for node in "ab":
        world.crash(node, 1, "ProgramFailed: boom")
    world.pass_time(8)
    world.settle()
    training = world.condition("Training")
    assert (training.status, training.reason) == ("False", "ProgramFailed") and "boom" in training.message
    assert world.lines() == {"a": "Failed", "b": "Failed"}
    for node in "ab":
        world.nodes[node] = replace(world.nodes[node], ready=False)
    world.settle()
    assert world.condition("Training").status == "True", "the kubelets' word is as old as the workers' own"


def test_a_second_trouble_and_a_missing_worker_are_named_with_the_first() -> None:
    world = trained("a", "b", "c", "d")
    world.say("b", TrainerState.FAILED, error="no camera", error_reason="ProgramFailed")
    world.say("c", TrainerState.FAILED, error="empty", error_reason="EmptyDataset")
    world.pass_time(8)
    world.say("b", TrainerState.FAILED, error="no camera", error_reason="ProgramFailed")
    world.say("c", TrainerState.FAILED, error="empty", error_reason="EmptyDataset")
    world.train("a")
    world.settle()
    message = world.condition("Degraded").message
    assert "b: no camera" in message and "(also EmptyDataset on c)" in message
    assert message.endswith("; Lost: d")


def test_a_node_that_waits_for_its_next_pod_says_until_when() -> None:
    world = World.of("a")
    world.settle()
    for _ in range(2):
        world.change_pod("a", phase="Failed")
        world.settle()
    assert "the next pod is made at" in world.line("a").message
