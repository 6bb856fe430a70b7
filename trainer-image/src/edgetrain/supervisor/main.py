"""The supervisor as a process: its settings, its log, its exit status."""

import asyncio
import logging
from collections.abc import Sequence

from prometheus_client import disable_created_metrics

from edgetrain.own_log import log_as
from edgetrain.supervisor.disk import BadDisk
from edgetrain.supervisor.settings import BadSetting, Settings
from edgetrain.supervisor.supervisor import Supervisor
from edgetrain_protocol import tls_memory
from edgetrain_protocol.descriptors import raise_limit
from edgetrain_protocol.names import DISK_EXIT_STATUS

DEFAULT_COMMAND = ("python", "/program/main.py")
BAD_USAGE = 2


async def supervise(settings: Settings, command: Sequence[str]) -> int:
    return await Supervisor(settings, command).run()


def main(argv: Sequence[str]) -> int:
    """Returns the exit status; errors that a person can mend are one line each."""
    log_as("supervisor")
    # A series beside each counter that nobody asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    tls_memory.keep_small()
    raise_limit()
    command = argv[1:] if argv[:1] == ["--"] else argv
    try:
        return asyncio.run(supervise(Settings.from_env(), command or DEFAULT_COMMAND))
    except BadDisk as error:
        logging.getLogger(__name__).error("%s", error)
        return DISK_EXIT_STATUS
    except (BadSetting, OSError, ValueError) as error:
        logging.getLogger(__name__).error("%s", error)
        return BAD_USAGE
