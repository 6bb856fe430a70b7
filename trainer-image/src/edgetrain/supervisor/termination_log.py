"""The container's last words, which the kubelet keeps and shows in the pod's status."""

import logging
import os
from pathlib import Path

from edgetrain_protocol import names

log = logging.getLogger(__name__)

TERMINATION_LOG = Path(os.environ.get(names.TERMINATION_LOG, "/dev/termination-log"))
MOST = 4000
"""The kubelet keeps 4096 bytes."""


def leave_word(text: str) -> None:
    """Never makes the file: outside a container nobody wants one there."""
    try:
        with TERMINATION_LOG.open("r+") as file:
            file.write(text[:MOST])
    except OSError:
        log.debug("no termination log to write to")
