"""How the repository is laid out: what has broken Python, or would tie together what is kept apart."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("operator", "protocol", "trainer-image", "lab", "local")
PRODUCT = [path for part in PARTS for path in sorted((ROOT / part / "src").rglob("*.py"))]
REST = [path for part in ("tests", "benchmarks", "examples") for path in sorted((ROOT / part).rglob("*.py"))]
LONGEST, LONGEST_TEST = 300, 500
TORCH_FREE = (
    "edgetrain",
    "edgetrain.aggregator.__main__",
    "edgetrain.fleet_client",
    "edgetrain.group.machine",
    "edgetrain.profiler.main",
    "edgetrain.remote.main",
    "edgetrain.supervisor.main",
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Top-level names of the packages that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0]


def test_operator_does_not_shadow_the_standard_library() -> None:
    """With operator/__init__.py and the root on the path, `import collections` dies."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not (ROOT / "operator" / "src" / "__init__.py").exists()
    subprocess.run([sys.executable, "-c", "import operator; operator.eq"], cwd=ROOT, check=True)


def test_no_top_level_module_has_a_name_of_the_standard_library() -> None:
    first = [path for part in PARTS for path in (ROOT / part / "src").iterdir()]
    scripts = [path for path in REST if path.parent.name in ("examples", "programs", "baselines")]
    assert [name(p) for p in [*first, *scripts] if p.stem in sys.stdlib_module_names] == []


def test_tests_are_no_packages() -> None:
    assert [name(p) for p in (ROOT / "tests").rglob("__init__.py")] == []


@pytest.mark.parametrize(
    ("paths", "most"), [(PRODUCT, LONGEST), (REST, LONGEST_TEST)], ids=["product", "tests"]
)
def test_files_are_short(paths: list[Path], most: int) -> None:
    lines = {name(path): len(path.read_text().splitlines()) for path in paths}
    assert {path: count for path, count in lines.items() if count > most} == {}, "split them"


def test_protocol_needs_pydantic_alone() -> None:
    allowed = {"edgetrain_protocol", "pydantic", *sys.stdlib_module_names}
    source = ROOT / "protocol" / "src" / "edgetrain_protocol"
    others = {(p.name, found) for p in source.glob("*.py") for found in imports(p) if found not in allowed}
    # The generator of the CRD runs in the repository, never in a pod.
    assert others == {("crd.py", "yaml")}


def test_import_leaves_torch_alone() -> None:
    """Torch takes seconds and half a gigabyte, also where a package's own __init__ brings it; cryptography a
    fifth of what else a supervisor takes up. In one process, as it takes but one to bring them."""
    code = """if True:
        import importlib, sys
        for module in sys.argv[1:]:
            importlib.import_module(module)
            if brought := {"torch", "cryptography"} & sys.modules.keys():
                sys.exit(f"{module} brings {brought}")
    """
    done = subprocess.run(
        [sys.executable, "-c", code, *TORCH_FREE], stderr=subprocess.PIPE, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_package_is_typed() -> None:
    packages = [p.parent for part in PARTS for p in (ROOT / part / "src").glob("*/__init__.py")]
    assert [name(p) for p in packages if not (p / "py.typed").exists()] == []


def test_requirements_name_no_host_and_are_pinned() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in wanted if "==" not in line or "://" in line or line.startswith("-")] == []
    assert not any(line.startswith("torch") for line in wanted), "torch is installed apart: see the Makefile"
