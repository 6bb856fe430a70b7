"""`edgetrain-operator`, or `python -m edgetrain_operator`."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import NoReturn

from prometheus_client import disable_created_metrics

from edgetrain_operator.check import NotWorking, wait_until_working
from edgetrain_operator.fleet.tls import BadCertificate
from edgetrain_operator.runtime.operator import run
from edgetrain_operator.settings import BadSetting, Settings


def main() -> None:
    """Run the operator, or check one. Exit code 1: the one checked does not work; 2: a setting is wrong."""
    parser = argparse.ArgumentParser(prog="edgetrain-operator", description="Without a command: run it.")
    check = parser.add_subparsers(dest="command").add_parser(
        "check", help="whether an operator does its work"
    )
    check.add_argument("host", help="of its fleet API")
    check.add_argument("port", type=int)
    check.add_argument("ca_file", type=Path, help="PEM of the authorities that verify its certificate")
    asked = parser.parse_args()
    if asked.command == "check":
        _check(asked.host, asked.port, asked.ca_file)
    else:
        _run()


def _run() -> None:
    try:
        settings = Settings.from_env()
    except BadSetting as error:
        _exit(error, 2)
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    # A series beside each counter that nobody asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    # kopf tells of every event that it passes on.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    # It warns that it leaves signals alone in its thread: they are the main thread's business.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    try:
        asyncio.run(run(settings))
    except BadCertificate as error:
        _exit(error, 2)


def _check(host: str, port: int, ca_file: Path) -> None:
    try:
        wait_until_working(host, port, ca_file)
    except NotWorking as error:
        _exit(error, 1)
    print(f"the fleet API at {host}:{port} answers, and a replica leads")  # noqa: T201 - for `helm test --logs`


def _exit(error: Exception, code: int) -> NoReturn:
    print(error, file=sys.stderr)  # noqa: T201 - for who reads a container's last words
    raise SystemExit(code) from None


if __name__ == "__main__":
    main()
