"""Where processes of ours log, which are none of the user's program."""

import logging
import os

from edgetrain_protocol.names import LOG_FILE


def log_as(name: str) -> None:
    """To the file that the environment names, or else to the container's log. `name`: of the process."""
    file = os.environ.get(LOG_FILE)
    logging.basicConfig(
        level=os.environ.get("EDGETRAIN_LOG_LEVEL", "INFO"),
        format=f"%(asctime)s %(levelname)s {name}: %(message)s",
        handlers=[logging.FileHandler(file) if file else logging.StreamHandler()],
    )
