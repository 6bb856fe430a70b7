"""A fleet API without a cluster, for profilers in shaped namespaces: says every second what it knows.

    python -m benchmarks.programs.fleet_alone ADDRESS PORT DIRECTORY WORKER...

Writes what the pods of the job `bench` mount into DIRECTORY, `ca.crt` last, and then prints JSON lines:
rates by worker in bits per second. Ends with its standard input.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from edgetrain_operator.fleet.forward import OnlyOperator
from edgetrain_operator.fleet.keyring import renewed
from edgetrain_operator.fleet.service import FleetService
from tests.support.identities import write_identity

JOB = "bench"


def main(address: str, port: int, directory: Path, workers: Sequence[str]) -> None:
    service = FleetService(renewed(None, datetime.now(UTC)), OnlyOperator(), address, port)
    for worker in workers:
        write_identity(directory / worker, worker, job=JOB, by=service.fleet.keyring)
    (directory / "ca.crt").write_text(service.fleet.ca_bundle())
    service.fleet.expect(JOB)
    service.start()
    threading.Thread(target=_end_with_input, daemon=True).start()
    while True:
        time.sleep(1.0)
        rates = service.fleet.rates(JOB)
        print(json.dumps({worker: rate.bits_per_second for worker, rate in rates.items()}), flush=True)


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
