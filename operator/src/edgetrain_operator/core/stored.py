"""The document in a job's ConfigMap: the plan, and what later decisions need to remember.

Times in it are the operator's (Unix, seconds). They change only when something happens, never with
every heartbeat: each change is a write that every reconcile after it must wait for.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.runtimes.version import RuntimeVersion
from edgetrain_operator.core.stored_hindrance import Hindrance
from edgetrain_operator.core.stored_rounds import RoundsRecord
from edgetrain_operator.core.stored_signs import LastEnd, Sighting
from edgetrain_protocol.base import Count, LongText, Moment, Name, Quantity, ShortText, Tolerant
from edgetrain_protocol.history import ALL, History, OfHistory
from edgetrain_protocol.plan import HIGHEST_GENERATION, HIGHEST_REVISION, GroupName, Member
from edgetrain_protocol.report import Checkpoint, Quorum, Voter

DOCUMENT_KEY = "plan.json"
MAX_BYTES = 700_000
"""Of the document: a ConfigMap holds 1 MiB, and the API server needs room for its own fields."""


class TooLarge(ValueError):
    """The document would not fit its ConfigMap; the text says what to do."""


_COUNTS = (
    *("crashes", "pod_crashes", "failed_incarnations", "taken_away"),
    *("ignored", "common", "stands_for"),
)


class WorkerRecord(Tolerant):
    """A node's worker through all its pods."""

    node: Name
    group: GroupName = ALL
    """That it is of."""
    attempt: Count
    """Of its newest pod, which may be still to be made."""
    pod_uid: ShortText = ""
    """Of that pod, once it was seen."""
    ends: Count = 0
    """Pods of it that ended by themselves, one after another; a pod that gets ready sets it back."""
    retry_at: Moment = 0.0
    """No new pod before."""
    crashes: Count = 0
    """Failures of its program in earlier pods."""
    pod_crashes: Count = 0
    """Failures of its program in the present pod, as counted so far."""
    pod_restart: Count = 0
    """The newest restart of the present pod's trainer that is counted there."""
    failed_incarnations: Count = 0
    """Failures that it reported itself."""
    failed_incarnation: ShortText = ""
    """The last of those."""
    failed_in: ShortText = ""
    """History and number of the formation in which it failed last."""
    common: Count = 0
    """Its failures that other members of the same formation had as well: no fault of the node."""
    stands_for: Count = 0
    """Those of them for which it counts once against the job's limit."""
    ignored: Count = 0
    """Its failures that count against no limit, by runPolicy.failureRules or for want of one."""
    taken_away: Count = 0
    """Its pods that were ended from outside, where a rule counts that."""
    taken_pod: ShortText = ""
    """Uid of the last pod that was ended from outside: each is judged once."""
    fatal: LongText = ""
    """Why the job has failed by what ended here, where a rule says so."""
    left_out: LongText = ""
    """The program's last words, where the node is left out because it failed too often."""
    left_at: Moment = 0.0
    """When it was put out of the plan."""
    left_before: Moment = 0.0
    """And when the time before."""
    silent_since: Moment = 0.0
    """When it was last heard before it fell silent; 0 while it is heard."""
    hindrance: Hindrance | None = None
    """What keeps its newest pod from starting and is not mended by waiting."""
    sighting: Sighting | None = None
    """Of its newest pod that was seen."""
    last_ends: dict[ShortText, LastEnd] = Field(default_factory=dict, max_length=4)
    """By container; of the pod as a whole under "pod"."""

    @property
    def sighted(self) -> Sighting:
        """What was seen of its present pod: nothing, where that was of the one before."""
        known = self.sighting
        return known if known and known.pod_uid == self.pod_uid else Sighting(pod_uid=self.pod_uid)

    @property
    def failures(self) -> int:
        """A failure may be seen in the pod, in a report, or in both: counted once."""
        return max(self.restarts, self.failed_incarnations) + self.taken_away

    @property
    def restarts(self) -> int:
        """For failures of its program, as kubelets have counted them."""
        return self.crashes + self.pod_crashes

    @property
    def judged_failures(self) -> int:
        """Those that count, be it against the node or against the job."""
        return self.failures - self.ignored

    @property
    def own_failures(self) -> int:
        """Those that count against the node."""
        return self.judged_failures - self.common

    @property
    def counted_failures(self) -> int:
        """Those that count against the job: a node that is left out costs it no more."""
        return self.stands_for + (0 if self.left_out else self.own_failures)

    def forgiven(self) -> "WorkerRecord":
        """With nothing against it."""
        return self.model_copy(update={**dict.fromkeys(_COUNTS, 0), "left_out": ""})


class AggregatorTenure(Tolerant):
    """The aggregator in office, and the numbers on which it was elected."""

    worker: Name
    node: Name
    since: Moment
    reason: LongText
    measured: bool = False
    """Whether all members' links had been measured at its election."""
    provisional: bool = False
    """Elected on the first few measurements: no tenure holds those off who prove better."""
    bits_per_second: Quantity = 0.0
    runner_up: ShortText = ""
    runner_up_bits_per_second: Quantity = 0.0
    challenger: ShortText = ""
    """Who is ahead by more than the hysteresis."""
    challenger_since: Moment = 0.0
    predecessor: ShortText = ""
    """Worker that was lost from this office after it had served its tenure: where it comes back with the
    better link, it takes the office up again at once."""


class KnownFormation(Tolerant):
    """The newest formation that any worker reported in this generation."""

    number: Count
    aggregator: Name
    members: dict[Name, ShortText] = Field(max_length=1000)
    """Worker -> uid of the pod with which it was in."""
    incarnations: dict[Name, ShortText] = Field(default_factory=dict, max_length=1000)
    """Worker -> which start of its program was in; of those who have said."""
    base: Count = 0
    """The newest formation known to have committed, by those who said what is counted."""
    counted: tuple[Quorum, ...] = Field((), max_length=16)
    """What the group's next vote must have enough of, as its members last said."""

    @property
    def voters(self) -> Quorum:
        """All its members."""
        voters = (
            Voter(worker=worker, pod_uid=uid, incarnation=self.incarnations.get(worker, ""))
            for worker, uid in self.members.items()
        )
        return Quorum(number=self.number, aggregator=self.aggregator, voters=tuple(voters))


class Branch(OfHistory):
    """Where a later generation left this one."""

    step: Count


class Stall(Tolerant):
    """Nobody trains although workers are heard: what has been done about it so far."""

    since: Moment
    steps: Count = 0
    """Taken, each more drastic than the one before."""
    at: Moment = 0.0
    """When the last one was taken."""


class GroupRecord(Tolerant):
    """What later decisions about one group need to remember."""

    office: AggregatorTenure | None = None
    formation: KnownFormation | None = None
    lost: dict[Name, Moment] = Field(default_factory=dict, max_length=1000)
    """Members whom their group reports lost -> when that was first seen."""
    durable: Checkpoint | None = None
    durable_on: tuple[Name, ...] = Field((), max_length=1000)
    """Workers that hold it."""
    branches: tuple[Branch, ...] = Field((), max_length=1000)
    """Of each generation that another followed: what it has beyond is of a dead history."""
    stall: Stall | None = None

    @property
    def durable_step(self) -> int | None:
        return self.durable.step if self.durable else None

    def left_at(self, history: History) -> int | None:
        """The step at which a later generation left this one; None where none did."""
        return next((branch.step for branch in self.branches if branch.history == history), None)

    def alive(self, checkpoint: Checkpoint) -> bool:
        """Whether it is of the history that the present generation goes on from."""
        left = self.left_at(checkpoint.history)
        return left is None or checkpoint.step <= left


_OF_ONE_GROUP = ("office", "formation", "lost", "durable", "durableOn", "branches", "stall")


class StoredPlan(Tolerant):
    plan: JobPlan | None = None
    workers: dict[Name, WorkerRecord] = Field(default_factory=dict, max_length=2000)
    groups: dict[GroupName, GroupRecord] = Field(default_factory=dict, max_length=1000)
    first_attempt: Count = 1
    """Of a node without a record: higher once records were lost, in which it may have had one."""
    first_ready: Moment = 0.0
    """When the first worker was ready, before there was a plan."""
    program: ShortText = ""
    """Hash of the files of the program that it trains."""
    stop_condition: LongText = ""
    """Which of runPolicy.stopWhen was met first, and by what; empty while none was."""
    runtime: RuntimeVersion | None = None
    """Of the job's runtime, by which its pods were made last."""
    rounds: RoundsRecord = RoundsRecord()

    @model_validator(mode="before")
    @classmethod
    def _by_group(cls, document: Any) -> Any:
        """Before there were groups all that is remembered of one stood in the document itself."""
        if not isinstance(document, Mapping) or not document.keys() & set(_OF_ONE_GROUP):
            return document
        group = {name: document[name] for name in _OF_ONE_GROUP if name in document}
        if isinstance(ends := group.get("branches"), Mapping):
            group["branches"] = [{"lineage": lineage, "step": step} for lineage, step in ends.items()]
        rest = {name: value for name, value in document.items() if name not in _OF_ONE_GROUP}
        return {**rest, "groups": {ALL: group}}

    @model_validator(mode="after")
    def _by_worker(self) -> Self:
        if wrong := [worker for worker, of in self.workers.items() if worker != worker_name(of.node)]:
            raise ValueError(f"workers: {wrong[0]} is not the worker of its node")
        return self

    @property
    def members(self) -> tuple[Member, ...]:
        """Of all its groups."""
        return self.plan.members if self.plan else ()

    def group(self, name: str) -> GroupRecord:
        return self.groups.get(name) or GroupRecord()

    def to_document(self) -> str:
        """The JSON for the ConfigMap.

        Raises:
            TooLarge: more than MAX_BYTES, or with a number beyond the last that is read.
        """
        if self.plan and (what := _beyond(self.plan)):
            raise TooLarge(f"{what} is beyond the last that there is: make the job anew")
        text = self.model_dump_json(by_alias=True, exclude_defaults=True)
        if len(text) > MAX_BYTES:
            raise TooLarge(
                f"the plan needs {len(text)} bytes and may have {MAX_BYTES}: lower spec.nodes.max "
                f"(now {len(self.workers)} workers){self.runtime.how_to_shrink() if self.runtime else ''}"
            )
        return text


def _beyond(plan: JobPlan) -> str:
    """Which number of it could not be read again, as where somebody has written the last one into it."""
    if plan.revision > HIGHEST_REVISION:
        return f"revision {plan.revision} of the plan"
    beyond = [of for of in plan.groups if of.generation > HIGHEST_GENERATION]
    return f"generation {beyond[0].generation} of group {beyond[0].name}" if beyond else ""
