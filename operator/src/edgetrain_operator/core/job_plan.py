"""The plan of a whole job, by group. A worker is served the part of its own group, and nothing else."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from edgetrain_protocol.base import Count, ShortText, Tolerant
from edgetrain_protocol.history import ALL, History
from edgetrain_protocol.plan import (
    HIGHEST_GENERATION,
    HIGHEST_REVISION,
    Founder,
    Group,
    GroupName,
    Member,
    Origin,
    Phase,
    Plan,
    Rounds,
    Worker,
    check_each_worker_once,
)
from edgetrain_protocol.strategy import Shares

_OF_ITS_GROUP = ("origin", "founders", "begun", "durable_step", "nudge")
"""What a worker is served of its group's history."""
_IN_THE_PLAN = set(map(to_camel, _OF_ITS_GROUP))
"""Where that stood before there were groups."""


class GroupPlan(Tolerant):
    """One group: its present history, and who is in it. What each field means, `Plan` says."""

    name: GroupName
    generation: int = Field(1, ge=1, le=HIGHEST_GENERATION)
    origin: Origin | None = None
    founders: tuple[Founder, ...] = Field((), max_length=1000)
    begun: bool = False
    durable_step: Count | None = None
    nudge: Count = 0
    waits: bool = False
    """It trains no step, whatever the others do: nobody in it holds the state that it would go on from."""
    group: Group | None = None
    """None while it has no member."""

    @property
    def members(self) -> tuple[Member, ...]:
        return self.group.members if self.group else ()


class JobPlan(Tolerant):
    job_uid: ShortText
    lineage: int = Field(1, ge=1, le=HIGHEST_GENERATION)
    revision: int = Field(ge=1, le=HIGHEST_REVISION)
    phase: Phase = Phase.TRAIN
    finish: bool = False
    groups: tuple[GroupPlan, ...] = Field((), max_length=1000)
    """By name."""
    homes: dict[Worker, GroupName] = Field(default_factory=dict, max_length=2000)
    """Workers that no group has just now -> the group that they are of, where that is not `all`."""
    rounds: Rounds | None = None
    shares: Shares = Shares.SPEED
    checkpoint_every_seconds: Count = 30

    @model_validator(mode="before")
    @classmethod
    def _by_group(cls, document: Any) -> Any:
        """Before there were groups a plan had one, and its history in the plan itself."""
        return _regrouped(document) if isinstance(document, Mapping) else document

    @model_validator(mode="after")
    def _each_worker_once(self) -> Self:
        check_each_worker_once(of.group for of in self.groups if of.group)
        return self

    @model_validator(mode="after")
    def _members_succeed_one_another(self) -> Self:
        for of in self.groups:
            if of.group and sorted(of.group.succession) != sorted(m.worker for m in of.members):
                raise ValueError(f"groups: the succession of {of.name} is not that of its members")
        return self

    @property
    def members(self) -> tuple[Member, ...]:
        """Of all its groups."""
        return tuple(member for of in self.groups for member in of.members)

    @property
    def aggregators(self) -> frozenset[str]:
        """Workers."""
        return frozenset(of.group.aggregator for of in self.groups if of.group)

    def find(self, name: str) -> GroupPlan | None:
        return next((of for of in self.groups if of.name == name), None)

    def home_of(self, worker: str) -> str:
        """The name of the group that this worker is of."""
        named = (of.name for of in self.groups if any(m.worker == worker for m in of.members))
        return next(named, None) or self.homes.get(worker, ALL)

    def slice_for(self, worker: str) -> Plan:
        """What this worker is served."""
        name = self.home_of(worker)
        of = self.find(name) or GroupPlan(name=name)
        within = of.group is not None and any(m.worker == worker for m in of.members)
        return Plan(
            job_uid=self.job_uid,
            lineage=self.lineage,
            group=name,
            generation=of.generation,
            revision=self.revision,
            phase=Phase.WAIT if of.waits and self.phase is Phase.TRAIN else self.phase,
            finish=self.finish,
            groups=(of.group,) if of.group and within else (),
            rounds=self._rounds_for(name),
            shares=self.shares,
            checkpoint_every_seconds=self.checkpoint_every_seconds,
            **{field: getattr(of, field) for field in _OF_ITS_GROUP},
        )

    def _rounds_for(self, group: str) -> Rounds | None:
        """Who speaks for each group is told where a holder is among them, since it is long. To all of such a
        group: they pass plans on, and a lead that had one without any group would take all for over."""
        holders = self.rounds.holders if self.rounds else ()
        if self.rounds is None or any(self.home_of(holder.worker) == group for holder in holders):
            return self.rounds
        return self.rounds.model_copy(update={"groups": {}})


def _regrouped(document: Mapping[str, Any]) -> Mapping[str, Any]:
    groups = document.get("groups")
    first = groups[0] if isinstance(groups, list) and groups else None
    history = {name: document[name] for name in _IN_THE_PLAN & document.keys()}
    if not history and not (isinstance(first, Mapping) and "members" in first):
        return document
    kept = {name: value for name, value in document.items() if name not in _IN_THE_PLAN}
    return {**kept, "groups": [{**history, "name": ALL, "group": first}]}


def history_of(plan: JobPlan, of: GroupPlan) -> History:
    return History(plan.lineage, of.name, of.generation)
