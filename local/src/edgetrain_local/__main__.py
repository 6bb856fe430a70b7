"""The command `edgetrain`."""

import argparse
import io
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgetrain_local.errors import RunError
from edgetrain_local.project import write_project
from edgetrain_local.run import run
from edgetrain_local.wires import enter_own_network
from edgetrain_local.wish import PRESETS, Wish, title_of, workers
from edgetrain_protocol.strategy import Preset

BAD_USAGE, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status; what a person can mend is one line."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    arguments = _parser().parse_args(words)
    try:
        return _run(arguments, words) if arguments.command == "run" else _init(arguments)
    except (RunError, OSError) as error:
        print(f"edgetrain: {error}", file=sys.stderr)
        return BAD_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgetrain", description="Train on the edge, and first on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run_ = commands.add_parser(
        "run",
        help="run a script as several workers on this machine, without a cluster",
        description="Run a script as several workers under real supervisors. Keys: 1-9 take a worker's power "
        "away or give it back, q stops.",
    )
    run_.add_argument("-n", type=int, default=3, metavar="WORKERS", help="how many (3)")
    run_.add_argument("--link", default="", metavar="RATE,...", help="of each worker: 20mbit,5mbit,-")
    run_.add_argument("--cpu", default="", metavar="SHARE,...", help="of one processor for each: 1,0.5,-")
    run_.add_argument("--min", type=int, default=1, help="fewer workers train no step (1)")
    run_.add_argument("--local-data", action="store_true", help="each worker has data of its own")
    run_.add_argument(
        "--data", default="", metavar="DIR", help="EDGETRAIN_DATA_DIR; {node} is a worker's name"
    )
    run_.add_argument(
        "--preset",
        choices=list(PRESETS),
        default=Preset.AUTO,
        metavar="NAME",
        help=f"how they train together (auto): {', '.join(PRESETS)}",
    )
    run_.add_argument("--dir", type=Path, help="keep state and logs here, and go on from what is there")
    run_.add_argument("--model", type=Path, default=Path("model"), help="directory for the model (model)")
    run_.add_argument("--retries", type=int, default=0, help="failures of the program to bear (0)")
    run_.add_argument("script", type=Path)
    run_.add_argument("arguments", nargs=argparse.REMAINDER, help="of the script")
    init = commands.add_parser("init", help="write a small project that runs")
    init.add_argument("directory", type=Path)
    return parser


def _run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    wish = _wish(arguments)
    if wish.shaped:
        enter_own_network(words)
    if arguments.dir:
        return run(wish, arguments.dir.resolve())
    directory, status = Path(tempfile.mkdtemp(prefix="edgetrain-")), BAD_USAGE
    try:
        status = run(wish, directory)
    finally:
        if status in (0, BAD_USAGE):
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"logs: {directory}", file=sys.stderr)
    return status


def _wish(arguments: argparse.Namespace) -> Wish:
    script: Path = arguments.script
    if not script.is_file():
        raise RunError(f"there is no script {script}")
    devices = workers(arguments.n, arguments.link, arguments.cpu)
    if not 1 <= arguments.min <= arguments.n:
        raise RunError(f"--min {arguments.min}: give 1 to {arguments.n}, the number of workers")
    wish = Wish(
        command=(sys.executable, str(script.resolve()), *arguments.arguments),
        title=title_of(script.stem, "program"),
        workers=devices,
        models=arguments.model.resolve(),
        at_least=arguments.min,
        local_data=arguments.local_data,
        preset=Preset(arguments.preset),
        failures=arguments.retries,
        data=arguments.data,
    )
    missing = [wish.data_of(w.node) for w in devices if wish.data and not wish.data_of(w.node).is_dir()]
    if missing:
        raise RunError(f"--data: there is no directory {missing[0]}")
    try:
        wish.models.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=wish.models).close()
    except OSError as error:
        raise RunError(f"--model: {wish.models} cannot be written: {error.strerror or error}") from error
    return wish


def _init(arguments: argparse.Namespace) -> int:
    for file in write_project(arguments.directory):
        print(file)
    print(f"\ncd {shlex.quote(str(arguments.directory))} && edgetrain run -n 3 train.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
