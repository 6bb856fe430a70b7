"""A donor with a state of so many MiB, and a newcomer that fetches it once for each line that it reads.

    python -m benchmarks.programs.state_transfer give PORT MIB
    python -m benchmarks.programs.state_transfer take ADDRESS PORT    # prints how many seconds it took

Who they are is in their environment, as in a pod's; the donor is `donor`.
"""

import random
import sys
import time

import torch

from edgetrain.credentials import Credentials
from edgetrain.data import SamplerState
from edgetrain.engine.monitor import Monitor
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.engine.transfer.donor import Donor
from edgetrain.engine.transfer.follower import Follower
from edgetrain.engine.transfer.replay_log import ReplayLog
from edgetrain.link import Peer, Position
from edgetrain_protocol.history import first_of

DONOR = "donor"
PIECES = 16
PATIENCE_SECONDS = 60.0


def snapshot(mib: int) -> Snapshot:
    version, internal, gauss = random.getstate()
    state = {"torch": torch.get_rng_state(), "python": [version, list(internal), gauss]}
    weights = {str(number): torch.randn((mib << 18) // PIECES) for number in range(PIECES)}
    return Snapshot(
        Position(first_of(1)), Ledger(SamplerState.fresh(1000, 7), batch=8, epochs=1), [], [weights], state
    )


def give(port: int, mib: int) -> None:
    held = snapshot(mib)
    Donor(port, Credentials.from_env(), ReplayLog(1), lambda: held, lambda: held.position)
    print("ready", flush=True)
    sys.stdin.read()


def take(address: str, port: int) -> None:
    credentials = Credentials.from_env()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(fetched(Peer(DONOR, address, port), credentials), flush=True)


def fetched(donor: Peer, credentials: Credentials) -> float:
    """Seconds until the state was at hand."""
    wake, began = Monitor(), time.monotonic()
    follower = Follower(donor, credentials, have=None, wake=wake)
    with wake:
        come = wake.wait_for(follower.take_snapshot, PATIENCE_SECONDS)
        took = time.monotonic() - began
        follower.close()
    if not come:
        raise TimeoutError(follower.error or f"no state came in {PATIENCE_SECONDS:g} s")
    return took


if __name__ == "__main__":
    if sys.argv[1] == "give":
        give(int(sys.argv[2]), int(sys.argv[3]))
    else:
        take(sys.argv[2], int(sys.argv[3]))
