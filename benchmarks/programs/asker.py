"""A worker that asks the fleet API for its plan all the time; says at its end how long each answer took."""

import json
import sys
import time
from pathlib import Path

from edgetrain.fleet_client import FleetClient
from edgetrain.fleet_settings import FleetSettings

EVERY_SECONDS = 0.1
"""With what the pod asks itself, within the rate that the fleet API lets one have."""


def main() -> None:
    address, job_uid, worker, pod_uid, folder, seconds = sys.argv[1:]
    identity = Path(folder)
    settings = FleetSettings(address, job_uid, worker, pod_uid, identity, identity / "authorities.crt")
    took = []
    with FleetClient(settings) as client:
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            asked = time.monotonic()
            client.poll_plan(1 << 40, 0, wait=0)
            took.append(time.monotonic() - asked)
            time.sleep(EVERY_SECONDS)
    print(json.dumps(took))


if __name__ == "__main__":
    main()
