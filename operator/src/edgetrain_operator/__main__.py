"""`edgetrain-operator`, or `python -m edgetrain_operator`."""

import asyncio
import logging
import sys

from prometheus_client import disable_created_metrics

from edgetrain_operator.runtime.operator import run
from edgetrain_operator.settings import BadSetting, Settings


def main() -> None:
    """Run the operator. Exit code 2: a setting is wrong."""
    try:
        settings = Settings.from_env()
    except BadSetting as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        raise SystemExit(2) from None
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    # A series beside each counter that nobody asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    # kopf tells of every event that it passes on.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    # It warns that it leaves signals alone in its thread: they are the main thread's business.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
