"""What a container runs first can be told to end while it is still importing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for

SLOW_MODULE = "prometheus_client"
"""What both import, as on a device on which that takes seconds."""


@pytest.mark.parametrize("process", ["edgetrain.supervisor", "edgetrain.profiler"])
def test_one_that_still_imports_ends_when_told_to(process: str, tmp_path: Path) -> None:
    imports = tmp_path / "imports"
    (tmp_path / f"{SLOW_MODULE}.py").write_text(
        f"import pathlib, time\npathlib.Path({str(imports)!r}).touch()\ntime.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", process], env=environment) as started:
        try:
            wait_for(imports.exists, 20, "it to import")
            started.terminate()
            # Not ended by the signal itself, which the first process of a container would not be.
            assert started.wait(10) == 128 + 15
        finally:
            started.kill()
