"""Where plans come from: the fleet API by long poll, or a file. Each on a thread of its own."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from edgetrain.fleet_client import FleetClient, Gone, Refused, Unauthorized, Unavailable
from edgetrain.fleet_settings import FleetSettings
from edgetrain.group.members import Pod
from edgetrain.group.status import Origin, PlanView
from edgetrain.link import HolderAddress, RoundTerms, Terms
from edgetrain_protocol.plan import Group, Phase, Plan, Rounds
from edgetrain_protocol.signed_plan import SignedPlan

log = logging.getLogger(__name__)

FILE_SECONDS = 0.2
WRONG_SECONDS = 5.0
"""Before another try with a token that was refused: its volume may be updated."""


def view_of(plan: Plan, worker: str) -> PlanView:
    """What a plan says to the group of this worker; without members where the plan leaves it out."""
    group = plan.group_of(worker)
    members = group.members if group else ()
    pods = tuple(Pod(m.worker, m.pod_uid) for m in members)
    founders = tuple(Pod(*text.split("/", 1)) for text in plan.founders)
    return PlanView(
        history=plan.history,
        revision=plan.revision,
        pods=pods,
        succession=tuple(group.succession) if group else (),
        founders=founders,
        begun=plan.begun,
        train=plan.phase is Phase.TRAIN,
        terms=_terms(plan, group),
        origin=_origin(plan),
        nudge=plan.nudge,
    )


def _terms(plan: Plan, group: Group | None) -> Terms:
    of_job = Terms(
        shares=plan.shares,
        checkpoint_every_seconds=float(plan.checkpoint_every_seconds),
        rounds=_round_terms(plan.rounds) if plan.rounds else None,
    )
    if group is None:
        return of_job
    return of_job._replace(reduction=group.reduction, payload=group.payload)


def _round_terms(rounds: Rounds) -> RoundTerms:
    holders = (HolderAddress(holder.worker, holder.address, holder.port) for holder in rounds.holders)
    return RoundTerms(rounds.local_steps, tuple(holders))


def _origin(plan: Plan) -> Origin | None:
    at = plan.origin
    return Origin(at.step, at.worker, at.incarnation, at.history, at.digest) if at else None


def is_newer(plan: Plan, held: Plan | None) -> bool:
    return held is None or (plan.lineage, plan.revision) > (held.lineage, held.revision)


class FleetPlans(threading.Thread):
    """Polls the fleet API. In this thread `hold` gets each newer plan; `gone` means that the pod is over."""

    def __init__(
        self,
        settings: FleetSettings,
        held: SignedPlan | None,
        hold: Callable[[SignedPlan], None],
        gone: Callable[[], None],
    ) -> None:
        super().__init__(name="plans", daemon=True)
        self._client = FleetClient(settings)
        self._newest = (held.plan.lineage, held.plan.revision) if held else (0, 0)
        self._hold, self._gone = hold, gone
        self._ended = threading.Event()
        self._said = ""

    def run(self) -> None:
        while not self._ended.is_set():
            self._ended.wait(self._poll())

    def _poll(self) -> float:
        """One poll; returns how long to wait before the next."""
        try:
            signed = self._client.poll_plan(*self._newest)
        except Gone:
            self._ended.set()
            self._gone()
            return 0.0
        except Unavailable as error:
            self._say(f"no plan to be had: {error}")
            return error.retry_after
        except (Unauthorized, Refused) as error:
            self._say(f"the fleet API refuses this worker: {error}")
            return WRONG_SECONDS
        self._say("")
        if signed:
            self._newest = max(self._newest, (signed.plan.lineage, signed.plan.revision))
            self._hold(signed)
        return 0.0

    def _say(self, text: str) -> None:
        """Once for each reason: an outage lasts."""
        if text and text != self._said:
            log.warning("%s", text)
        self._said = text

    def close(self) -> None:
        self._ended.set()
        self._client.close()


class FilePlans(threading.Thread):
    """Reads a file (a SignedPlan as JSON) again and again."""

    def __init__(self, path: Path, hold: Callable[[SignedPlan], None]) -> None:
        super().__init__(name="plans", daemon=True)
        self._path, self._hold = path, hold
        self._ended = threading.Event()
        self._text = ""

    def run(self) -> None:
        while not self._ended.wait(FILE_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            text = self._path.read_text()
            if text != self._text:
                self._text = text
                self._hold(SignedPlan.from_wire(text))
        except FileNotFoundError:
            return
        except (OSError, ValidationError) as error:
            log.warning("%s is no plan: %s", self._path, error)

    def close(self) -> None:
        self._ended.set()
