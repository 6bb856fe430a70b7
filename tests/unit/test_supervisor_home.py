"""HOME and USER of a program, by what image, job and /etc/passwd say."""

import asyncio
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from edgetrain.supervisor.home import lacking
from edgetrain.supervisor.program import Program

NOBODYS = next(uid for uid in range(65532, 2**20) if uid not in {entry.pw_uid for entry in pwd.getpwall()})
"""Of no entry in /etc/passwd."""
AS_NOBODY = f"""
import getpass, os, pathlib
from edgetrain.supervisor.home import lacking
os.setgroups([]), os.setgid({NOBODYS}), os.setuid({NOBODYS})
os.environ.update(lacking(os.environ))
print(getpass.getuser(), pathlib.Path.home(), os.access(os.environ["HOME"], os.W_OK))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("home", ["/", "", "/home/of-nobody"])
def test_a_user_whom_the_image_does_not_know_has_a_name_and_a_home_that_it_can_write(home: str) -> None:
    env = {"HOME": home, "TMPDIR": "/tmp"}
    ran = subprocess.run(
        [sys.executable, "-c", AS_NOBODY], env=env, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "nonroot /tmp True"


def test_what_image_or_job_have_set_stays(tmp_path: Path) -> None:
    assert lacking({"HOME": str(tmp_path), "USER": "ada"}) == {}
    tmp_path.chmod(0o555)
    assert lacking({"HOME": str(tmp_path), "LOGNAME": "ada"}) == {}, "it may hold what is only to be read"


def test_a_program_is_started_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of-nobody")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    told = tmp_path / "told"
    script = f"import os, pathlib; pathlib.Path({str(told)!r}).write_text(os.environ['HOME'])"

    async def run() -> int:
        return await Program(lambda message: None).run([sys.executable, "-c", script], lambda hung: None)

    assert asyncio.run(run()) == 0
    assert told.read_text() == str(tmp_path)
