"""What strangers, broken peers, one node that was taken over, and editors of a namespace did to jobs before
they were kept from it. Tests that do one of them again are marked with its number: `@pytest.mark.attack(12)`.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ATTACKS = {
    1: "a stranger finds Gloo's listener and takes all descriptors of a program",
    2: "a stranger's idle connections end the operator",
    3: "a stranger answers as the donor, or passes its bytes on: reads the model, replaces it",
    4: "one worker's word of a formation that never was begins a new generation",
    5: "one worker says that it has finished, with a file of its own: the job is complete",
    6: "one worker takes the plan's revision so far that no report is accepted any more",
    7: "a supervisor takes a forged plan from one that is not planned, or a node taken over, and keeps it",
    8: "a token of a deleted job is believed, and fills the operator's memory",
    9: "one request keeps the fleet API's others waiting for seconds",
    10: "a pod speaks for another node, of numbers without bounds: elects it, silences it",
    11: "a job reads others' Secrets, mounts the nodes' files, has a priority of Kubernetes' own",
    12: "callers that prove nothing take memory and threads, and lock others out",
    13: "the keyring is deleted: all workers are refused for good",
    14: "the plan's content is taken off its ConfigMap",
    15: "the plan's owner is taken off its ConfigMap",
    16: "the ConfigMap of the authorities is deleted: a pod waits for ever",
    17: "a plan is lost while a pod is away: the pod's name is used twice",
    18: "a stranger sends a supervisor its own bytes, and is taken for itself",
    19: "kills while checkpoints are written leave drafts for ever",
    20: "a manifest of another checkpoint, a number that is none, a directory in its place are taken",
    21: "numbers and documents without bounds take the metrics of all jobs, or an answer",
    22: "a sequence number sent to a fresh group's listener takes a member's place",
    23: "a few bytes take memory or the leader's time: an announced payload, the schema, a Lease of 68 years",
}
"""By number; 19 to 21 are of disks and documents, whoever wrote them."""
MARK = "attack"
WHERE = ("tests/unit", "tests/train", "tests/api")
ROOT = Path(__file__).parents[2]


@dataclass(eq=False)
class Repelled:
    """A plugin of pytest that keeps what came of each test that is marked."""

    tests: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        for item in items:
            for number in (number for mark in item.iter_markers(MARK) for number in mark.args):
                self.tests[number].add(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    def by_attack(self) -> Mapping[int, list[bool]]:
        """Of each attack, and each test that does it: whether it was repelled."""
        held = self.passed - self.failed
        return {number: [test in held for test in sorted(self.tests.get(number, ()))] for number in ATTACKS}


def done_again() -> Mapping[int, list[bool]]:
    """Run the tests that are marked. Returns what `Repelled.by_attack` does.

    Raises:
        subprocess.CalledProcessError: they could not be run; it is said above why.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        # A process of its own: pytest wants to be there before what its plugins and ours import.
        subprocess.run([sys.executable, "-m", "tests.support.attacks", str(told)], cwd=ROOT, check=True)
        return {int(number): held for number, held in json.loads(told.read_text()).items()}


def main(told: Path) -> int:
    found = Repelled()
    status = pytest.main(["-q", "-p", "no:cacheprovider", "-m", MARK, *WHERE], plugins=[found])
    told.write_text(json.dumps(found.by_attack()))
    return 0 if status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) else int(status)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
