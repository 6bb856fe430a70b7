"""The kernel's accounts of a container's memory, as files in both versions of cgroups."""

from pathlib import Path

import pytest

from edgetrain.supervisor.cgroup import Killings, Memory, own_paths, read_memory

V2 = {
    "memory.events": "low 0\nhigh 0\nmax 13\noom 2\noom_kill {kills}\noom_group_kill 0\n",
    "memory.max": "134217728\n",
    "memory.peak": "134213632\n",
}
V1 = {
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n",
    "memory.limit_in_bytes": "134217728\n",
    "memory.max_usage_in_bytes": "134213632\n",
}
FULL = Memory(1, 134217728, 134213632)


def tree(directory: Path, files: dict[str, str], kills: int = 1) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text.format(kills=kills))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own"
    path.write_text("5:devices:/\n4:cpu,memory:/pods/one\n0::/pods/one\n")
    return path


@pytest.mark.parametrize("within", ["", "pods/one"])
@pytest.mark.parametrize(("below", "files"), [("", V2), ("memory", V1)])
def test_both_versions_are_read_from_the_containers_own_group(
    tmp_path: Path, own: Path, within: str, below: str, files: dict[str, str]
) -> None:
    root = tmp_path / "cgroup"
    tree(root / below / within, files)
    assert read_memory(root, own) == FULL
    assert str(FULL) == "a limit of 128 MiB, 128 MiB in use at most"


def test_the_own_group_goes_before_the_root(tmp_path: Path, own: Path) -> None:
    tree(tmp_path / "memory", V1, kills=99)
    tree(tmp_path / "memory" / "pods" / "one", V1)
    assert read_memory(tmp_path, own) == FULL


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (V2 | {"memory.max": "max\n"}, Memory(1, None, 134213632)),
        (V1 | {"memory.limit_in_bytes": "9223372036854771712\n"}, Memory(1, None, 134213632)),
        ({"memory.events": "low 0\n"}, Memory(0, None, None)),
    ],
)
def test_no_limit_and_older_kernels(
    tmp_path: Path, own: Path, files: dict[str, str], expected: Memory
) -> None:
    tree(tmp_path if "memory.events" in files else tmp_path / "memory", files)
    assert read_memory(tmp_path, own) == expected


def test_nothing_to_read_is_no_killing(tmp_path: Path, own: Path) -> None:
    assert read_memory(tmp_path / "none", own) is None
    assert Killings(tmp_path / "none").new() is None


def test_a_path_that_leads_out_of_the_namespace_is_not_followed() -> None:
    assert own_paths("0::/../../other\n") == {"": "/../../other"}


def test_a_killing_is_told_once(tmp_path: Path) -> None:
    tree(tmp_path, V2, kills=3)
    killings = Killings(tmp_path)
    assert killings.new() is None, "those before it began are none of its program's"
    tree(tmp_path, V2, kills=4)
    assert killings.new() == Memory(4, 134217728, 134213632)
    assert killings.new() is None
