"""The process of a holder. It ends by SIGTERM; whatever ends it, what it has shown is on its disk."""

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from edgetrain.aggregator.charge import Charge
from edgetrain.aggregator.documents import BadDocument
from edgetrain.aggregator.following import Following, in_background
from edgetrain.aggregator.holder import Holder
from edgetrain.aggregator.journal import BadJournal
from edgetrain.aggregator.log_directory import log_directory
from edgetrain.aggregator.server import serve
from edgetrain.aggregator.vectors import BadVector
from edgetrain.credentials import Credentials
from edgetrain.own_log import log_as

log = logging.getLogger(__name__)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m edgetrain.aggregator", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="its own, with charge.json in it")
    parser.add_argument("--log", type=Path, required=True, help="where it keeps the log and the model")
    parser.add_argument("--name", required=True, help="of that disk: nobody else ever has it")
    parser.add_argument("--port", type=int, required=True, help="where others of the job ask")
    parser.add_argument("--attended", action="store_true", help="it ends with its standard input")
    asked = parser.parse_args()
    if asked.attended:
        threading.Thread(target=_end_with_input, daemon=True).start()
    credentials = Credentials.from_env()
    log_as("holder")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with log_directory(asked.log):
            _hold(asked, credentials)
    except (BadJournal, BadVector, BadDocument, OSError) as error:
        log.error("%s", error)
    return 1


def _hold(asked: argparse.Namespace, credentials: Credentials) -> None:
    charge = Charge.read(asked.directory)
    holder = Holder(asked.log, asked.name, charge)
    following = Following(asked.directory, charge, holder, credentials)
    serve(following, holder, credentials, asked.port)
    in_background(following)
    log.info("holder %s listens on port %d", asked.name, asked.port)
    holder.wait()


def _end_with_input() -> None:
    """Who has started it may be killed, and starts another one in its place."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
