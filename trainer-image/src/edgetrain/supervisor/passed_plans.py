"""Plans that other supervisors pass on: with the operator out of reach, what one holds all come to hold.

Whoever has a certificate of the job can pass one on, so it is the operator's signature that counts.
"""

import asyncio
import logging
from collections.abc import Callable

from edgetrain.credentials import Credentials
from edgetrain.group.members import Pod
from edgetrain.supervisor.signatures import is_signed
from edgetrain.supervisor.wire import Passed
from edgetrain_protocol.signed_plan import SignedPlan, signed_content

log = logging.getLogger(__name__)

REST_SECONDS = 0.5
"""After one that is refused: who passes on nothing else keeps neither a processor nor the log busy."""


def checked(passed: Passed, credentials: Credentials) -> SignedPlan:
    """The plan, once it is known to be the operator's and of our job.

    Raises:
        ValueError: it is not, or cannot be read.
        OSError: we know of no authority.
    """
    if not is_signed(signed_content(passed.plan), passed.signature, credentials.authorities):
        raise ValueError("none of the operator's authorities that this pod knows has signed it")
    plan = SignedPlan(text=passed.plan, signature=passed.signature)
    if plan.plan.job_uid != credentials.job_uid:
        raise ValueError(f"it is of job {plan.plan.job_uid}, which is not ours")
    return plan


class PassedPlans:
    """Checks them beside the loop, one after another, in the order in which pods came with them."""

    def __init__(self, credentials: Credentials, hold: Callable[[SignedPlan], None]) -> None:
        """`hold` gets those that are good, in the loop's thread."""
        self._credentials, self._hold = credentials, hold
        self._waiting: dict[Pod, Passed] = {}
        """The last of each pod."""
        self._some = asyncio.Event()

    def come(self, pod: Pod, passed: Passed) -> None:
        self._waiting[pod] = passed
        self._some.set()

    async def check_on(self) -> None:
        """Until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                pod = next(iter(self._waiting))
                await self._check(pod, self._waiting.pop(pod))

    async def _check(self, pod: Pod, passed: Passed) -> None:
        try:
            plan = await asyncio.to_thread(checked, passed, self._credentials)
        except (ValueError, OSError, ImportError) as error:
            log.warning("a plan that %s passes on is refused: %s", pod.worker, error)
            await asyncio.sleep(REST_SECONDS)
        else:
            self._hold(plan)
