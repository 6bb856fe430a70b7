"""What the images are built from: pinned throughout, nothing left out, nothing that changes them unseen."""

import importlib.metadata
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from edgelab.archive import Image, Layer, write_archive
from edgelab.real_images import recipe, store

ROOT = Path(__file__).parents[2]
DOCKERFILES = [ROOT / r.dockerfile for r in recipe.RECIPES]
PINS = {
    canonicalize_name(name): version
    for name, _, version in (
        line.partition("==")
        for file in ("requirements.txt", "trainer-image/torch.txt")
        for line in (ROOT / file).read_text().splitlines()
        if line and not line.startswith("#")
    )
}
BROUGHT_BY_TORCH = re.compile(r"nvidia-|cuda-|triton$")
"""By its CUDA build, which bounds them itself."""


def project(part: str) -> dict[str, Any]:
    """A package's own description."""
    found: dict[str, Any] = tomllib.loads((ROOT / part / "pyproject.toml").read_text())["project"]
    return found


def direct(part: str) -> list[str]:
    """What it says that it needs."""
    return [Requirement(line).name for line in project(part)["dependencies"]]


def optional(part: str) -> set[NormalizedName]:
    """What some of its modules need, and who does without them goes without; they may be installed here or
    not."""
    extras = project(part).get("optional-dependencies", {}).values()
    return {canonicalize_name(Requirement(line).name) for lines in extras for line in lines}


def closure(names: list[str]) -> set[NormalizedName]:
    """All that these bring into an image, by what is installed here."""
    found: set[NormalizedName] = set()
    left = list(names)
    while left:
        name = canonicalize_name(left.pop())
        if name in found or BROUGHT_BY_TORCH.match(name):
            continue
        found.add(name)
        wanted = map(Requirement, importlib.metadata.requires(name) or ())
        left += [r.name for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def imported(part: str) -> set[str]:
    """Distributions behind the packages that a part's sources import."""
    source = "\n".join(
        path.read_text() for path in (ROOT / part / "src").rglob("*.py") if path.name != "crd.py"
    )
    modules = set(re.findall(r"^\s*(?:import|from) ([a-z_0-9]+)", source, re.MULTILINE))
    known = importlib.metadata.packages_distributions()
    ours = {"edgetrain", "edgetrain_operator", "edgetrain_protocol"}
    foreign = modules - ours - set(sys.stdlib_module_names)
    return {canonicalize_name(known[name][0]) for name in foreign if name in known}


@pytest.mark.parametrize("part", ["operator", "protocol", "trainer-image"])
def test_a_package_names_all_that_it_imports(part: str) -> None:
    assert {canonicalize_name(name) for name in direct(part)} == imported(part) - optional(part)


def test_all_that_goes_into_an_image_is_pinned() -> None:
    wanted = closure([*direct("operator"), *direct("protocol"), *direct("trainer-image")])
    assert wanted - PINS.keys() == set()
    off = {n: v for n in wanted if (v := importlib.metadata.version(n).partition("+")[0]) != PINS[n]}
    assert off == {}, "requirements.txt says otherwise"


def copied(dockerfile: Path) -> Iterator[str]:
    for line in dockerfile.read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            yield from line.split()[1:-1]


@pytest.mark.parametrize("made", recipe.RECIPES, ids=lambda r: r.tag)
def test_an_image_is_built_anew_when_what_it_copies_changes(made: recipe.Recipe) -> None:
    known = set(made.files(ROOT))
    for name in copied(ROOT / made.dockerfile):
        path = ROOT / name
        files = [path] if path.is_file() else [*(path / "src").rglob("*.py"), path / "pyproject.toml"]
        if path.name == "src":
            files = list(path.rglob("*.py"))
        assert files and set(files) <= known, name


def test_the_fingerprint_follows_sources_and_arguments_and_nothing_else(tmp_path: Path) -> None:
    for made in recipe.RECIPES:
        for file in made.files(ROOT):
            target = tmp_path / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    before = recipe.fingerprint(tmp_path, {"INDEX": ""})
    assert before == recipe.fingerprint(ROOT, {"INDEX": ""})
    cache = tmp_path / "operator" / "src" / "edgetrain_operator" / "__pycache__"
    cache.mkdir()
    (cache / "x.pyc").touch()
    assert recipe.fingerprint(tmp_path, {"INDEX": ""}) == before
    assert recipe.fingerprint(tmp_path, {"INDEX": "other"}) != before
    (tmp_path / "protocol" / "src" / "edgetrain_protocol" / "names.py").write_text("# changed")
    assert recipe.fingerprint(tmp_path, {"INDEX": ""}) != before


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_runs_is_no_root_and_holds_no_build_tool(file: Path) -> None:
    last = file.read_text().rpartition("\nFROM ")[2]
    assert "\nUSER 65532:65532\n" in last
    assert not re.search(r"^RUN ", last, re.MULTILINE), "a shell would be needed in RUNTIME"
    assert "/opt/tools" not in last
    assert "--mount=type=secret" not in last


def test_both_are_built_with_the_same_tools() -> None:
    stages = [re.search(r"^FROM \S+ AS tools\n.*?\n\n", f.read_text(), re.M | re.S) for f in DOCKERFILES]
    assert stages[0] and stages[1]
    assert stages[0].group() == stages[1].group()


def test_secrets_are_those_that_package_managers_use_here(tmp_path: Path) -> None:
    bundle, netrc = tmp_path / "ca.pem", tmp_path / "netrc"
    bundle.touch()
    assert recipe.secrets({"SSL_CERT_FILE": str(bundle), "NETRC": str(netrc)}) == {"ca": bundle}
    netrc.touch()
    assert recipe.secrets({"NETRC": str(netrc)}) == {"netrc": netrc}


def test_an_images_size_is_that_of_its_files(tmp_path: Path) -> None:
    layer = Layer()
    layer.file("/a/b", b"x" * 1000)
    layer.file("/c", b"y" * 23)
    write_archive(tmp_path / "i.tar", {"one:1": Image({}, layer.finish())})
    assert store.unpacked_sizes(tmp_path / "i.tar") == {"one:1": 1023}


def test_a_clone_shares_layers_and_no_database(tmp_path: Path) -> None:
    original, copy = tmp_path / "store", tmp_path / "node" / "containerd"
    layer, database = Path("snapshotter", "snapshots", "1", "fs", "file"), Path("metadata", "meta.db")
    for path in (layer, database):
        (original / path).parent.mkdir(parents=True)
        (original / path).write_text("x")
    store.clone(original, copy)
    assert (copy / layer).samefile(original / layer)
    assert not (copy / database).samefile(original / database)
    assert (copy / database).read_text() == "x"
    (copy / database).write_text("of its own")
    store.clone(original, copy)
    assert (copy / database).read_text() == "of its own", "a node keeps what it has"
