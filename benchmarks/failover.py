"""Of two replicas the leader is killed and a job changed at that moment: when the other has seen to it."""

import random
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.waiting import wait_for
from tests.support.apiserver import ApiServer
from tests.support.objects import get, job, namespace_made, nodes_and_program
from tests.support.operator_process import OperatorProcess, operator_process

NAME = "digits"


def failovers(api: ApiServer, folder: Path, times: int) -> list[float]:
    """Seconds; who was killed is replaced by a new replica each time."""
    namespace = namespace_made(api)
    with nodes_and_program(api, namespace, "edge-a"), ExitStack() as stack:

        def start(number: int) -> OperatorProcess:
            return stack.enter_context(operator_process(api, namespace, folder, f"operator-{number}"))

        replicas = [start(0), start(1)]
        api.apply(job(namespace))
        found = []
        for number in range(times):
            lead = wait_for(lambda: next((one for one in replicas if one.leads()), None))
            seen_to(api, namespace)
            replicas.remove(lead)
            time.sleep(random.uniform(0.5, 2.5))  # Anywhere between two renewals.
            found.append(_killed(api, namespace, lead, suspend=number % 2 == 0))
            replicas.append(start(number + 2))
        return found


def _killed(api: ApiServer, namespace: str, lead: OperatorProcess, *, suspend: bool) -> float:
    began = time.monotonic()
    lead.kill()
    change = f'{{"spec": {{"suspend": {str(suspend).lower()}}}}}'
    api.kubectl("patch", "etj", NAME, "-n", namespace, "--type=merge", "-p", change)
    seen_to(api, namespace)
    return time.monotonic() - began


def seen_to(api: ApiServer, namespace: str) -> None:
    """Until an operator has seen the job as it is, and says so in its status."""

    def seen() -> bool:
        found = get(api, "etj", NAME, namespace)
        said = found.get("status", {}).get("observedGeneration", 0)
        return bool(said == found["metadata"]["generation"])

    wait_for(seen, 60, "the job to be seen to", every=0.2)
