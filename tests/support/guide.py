"""docs/install.md as a program: its commands by the heading that they stand under."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "install.md"
SECONDS = 1200.0
_PART = re.compile(
    r"^#+ (?P<heading>.+)$"
    r"|(?P<elsewhere>^<!-- not run in the lab: .* -->\n)?^```sh\n(?P<script>[\s\S]*?)^```$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Step:
    """What stands under one heading."""

    heading: str
    script: str
    elsewhere: bool
    """It needs what no lab has, such as Docker."""


def steps(text: str) -> Iterator[Step]:
    """In the order of the page; several blocks under one heading are one step."""
    heading, scripts, elsewhere = "", list[str](), False
    for part in _PART.finditer(text):
        if part["heading"]:
            if scripts:
                yield Step(heading, "".join(scripts), elsewhere)
            heading, scripts = part["heading"], []
        else:
            scripts.append(part["script"])
            elsewhere = part["elsewhere"] is not None
    if scripts:
        yield Step(heading, "".join(scripts), elsewhere)


@dataclass
class Guide:
    """The page, being followed with these variables in the environment."""

    environment: Mapping[str, str]
    followed: list[str] = field(default_factory=list)
    """Headings so far."""

    def follow(self, heading: str, then: str = "") -> str:
        """Run what stands under a heading, and `then`; what it printed.

        Raises:
            RuntimeError: a command failed; the text has all that was printed.
            StopIteration: there is no such heading with commands.
        """
        step = next(s for s in steps(PAGE.read_text()) if s.heading == heading)
        command = ["bash", "-euo", "pipefail", "-c", f"{step.script}\n{then}"]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
        print(f"--- {heading}\n{done.stdout}{done.stderr}")
        if done.returncode:
            raise RuntimeError(f"{heading}: {step.script}\n{done.stdout}{done.stderr}")
        self.followed.append(heading)
        return done.stdout
