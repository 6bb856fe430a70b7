"""Getting the programs: from a given directory, from releases, from source."""

import hashlib
import http.server
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml

from edgelab.cli.main import main
from edgelab.errors import LabError
from edgelab.programs import acquire, build, releases
from edgelab.programs.pinned import KUBERNETES, MODULES, OLDEST_KUBERNETES, Module
from edgelab.programs.releases import Release
from tests.support.http_server import answering

ROOT = Path(__file__).parents[2]
PROGRAM = b"#!/bin/sh\necho hello\n"


@dataclass(frozen=True)
class Site:
    """A web site of release files."""

    url: str
    root: Path

    def publish(self, name: str, content: bytes, hashes: str) -> str:
        (self.root / name).write_bytes(content)
        (self.root / f"{name}.sha256").write_text(hashes)
        return f"{self.url}/{name}"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    root = tmp_path / "site"
    root.mkdir()
    with answering(partial(_Quiet, directory=str(root))) as port:
        yield Site(f"http://127.0.0.1:{port}", root)


def test_bare_program_is_fetched(site: Site, tmp_path: Path) -> None:
    url = site.publish("tool", PROGRAM, hashlib.sha256(PROGRAM).hexdigest())
    said: list[str] = []

    assert releases.fetch(Release(url, f"{url}.sha256"), tmp_path / "got", said.append)

    assert subprocess.check_output([tmp_path / "got"], text=True) == "hello\n"
    assert said == [f"downloading {url}"]


def test_program_is_taken_out_of_its_archive(site: Site, tmp_path: Path) -> None:
    archive = _archive("tool-1/tool", PROGRAM)
    hashes = f"{'0' * 64}  other.tar.gz\n{hashlib.sha256(archive).hexdigest()}  tool.tar.gz\n"
    url = site.publish("tool.tar.gz", archive, hashes)

    assert releases.fetch(Release(url, f"{url}.sha256", "tool-1/tool"), tmp_path / "got", print)
    assert (tmp_path / "got").read_bytes() == PROGRAM


def test_program_with_a_longer_hash_is_fetched(site: Site, tmp_path: Path) -> None:
    url = site.publish("tool", PROGRAM, hashlib.sha512(PROGRAM).hexdigest())

    assert releases.fetch(Release(url, f"{url}.sha256"), tmp_path / "got", print)
    assert (tmp_path / "got").read_bytes() == PROGRAM


def test_what_was_not_published_is_not_installed(site: Site, tmp_path: Path) -> None:
    url = site.publish("tool", PROGRAM, "0" * 64)

    with pytest.raises(LabError, match="does not have its published hash"):
        releases.fetch(Release(url, f"{url}.sha256"), tmp_path / "got", print)
    assert not (tmp_path / "got").exists()


def test_hash_of_another_file_does_not_count(site: Site, tmp_path: Path) -> None:
    url = site.publish("tool", PROGRAM, f"{hashlib.sha256(PROGRAM).hexdigest()}  another\n")

    with pytest.raises(LabError, match="published hash"):
        releases.fetch(Release(url, f"{url}.sha256"), tmp_path / "got", print)


def test_unreachable_release_is_passed_over(tmp_path: Path) -> None:
    nowhere = Release("http://127.0.0.1:9/tool", "http://127.0.0.1:9/tool.sha256")
    assert not releases.fetch(nowhere, tmp_path / "got", print)


def test_given_directory_counts_for_what_it_holds_of_our_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, given = tmp_path / "cache", tmp_path / "given"
    monkeypatch.setenv("EDGELAB_CACHE", str(cache))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(given))
    for module in MODULES:
        for name in module.programs:
            _script(module.cache / name, "cached")
    _script(given / "kubelet", "Kubernetes v1.36.3")
    _script(given / "kubectl", "Client Version: v1.30.0")
    said: list[str] = []

    found = acquire.acquire(said.append)

    assert found["kubelet"] == given / "kubelet"
    assert found["kubectl"] == KUBERNETES.cache / "kubectl"
    assert found["etcd"] == KUBERNETES.cache / "etcd"
    assert said == [f"{given / 'kubectl'} is not of version v1.36.3: not used"]


def test_given_directory_counts_for_the_oldest_version_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGELAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    name, said = "kube-apiserver", list[str]()
    _script(OLDEST_KUBERNETES.cache / name, "cached")
    _script(tmp_path / name, "Kubernetes v1.36.3")
    assert acquire.acquire(said.append, (OLDEST_KUBERNETES,)) == {name: OLDEST_KUBERNETES.cache / name}
    _script(tmp_path / name, f"Kubernetes {OLDEST_KUBERNETES.kubernetes}")
    assert acquire.acquire(said.append, (OLDEST_KUBERNETES,)) == {name: tmp_path / name}
    assert said == [f"{tmp_path / name} is not of version {OLDEST_KUBERNETES.kubernetes}: not used"]


def test_each_version_has_its_own_release_and_place() -> None:
    current, oldest = (
        releases.release_of("kube-apiserver", module.kubernetes) for module in (KUBERNETES, OLDEST_KUBERNETES)
    )
    assert current and "/v1.36.3/" in current.url
    assert oldest and "/v1.30." in oldest.url
    assert KUBERNETES.cache != OLDEST_KUBERNETES.cache


def test_oldest_version_is_the_one_that_the_chart_names() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "edgetrain" / "Chart.yaml").read_text())
    major, minor, _ = OLDEST_KUBERNETES.kubernetes.removeprefix("v").split(".")
    assert chart["kubeVersion"] == f">={major}.{minor}.0-0"


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_program_is_built_from_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = _module(tmp_path, monkeypatch, 'package main\nfunc main() { print("built") }\n')
    said: list[str] = []

    build.build(module, ["tool"], said.append)

    shown = subprocess.run([module.cache / "tool"], capture_output=True, text=True)
    assert shown.stderr == "built"
    assert "building tool from source" in said[0]
    assert "tool: done in" in said[-1]


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_failed_build_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = _module(tmp_path, monkeypatch, "package main\nfunc main() { nonsense() }\n")
    with pytest.raises(LabError, match=r"building tool failed:(.|\n)*undefined: nonsense"):
        build.build(module, ["tool"], print)
    assert list(module.cache.iterdir()) == []


def test_without_go_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build, "_USUAL_PLACE", tmp_path / "go")
    with pytest.raises(LabError, match=r"Install Go 1\.26 or later .*KUBEBUILDER_ASSETS"):
        build.build(KUBERNETES, ["kubelet"], print)


def test_lab_of_somebody_who_is_not_root_is_refused() -> None:
    # In a user namespace without a mapping, root is nobody.
    argv = ["unshare", "--user", sys.executable, "-m", "edgelab", "up"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("edgelab: the lab needs root")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["status", "--name", "never-was"],
            "edgelab: lab 'never-was' is not up: `edgelab up --name never-was` first",
        ),
        (["node", "kill", "x", "--name", "never-was"], "is not up"),
        (["up", "--nodes", "31"], "31 nodes: a lab holds 0 to 30"),
        (["up", "--config", "/nonexistent.yaml"], "cannot read /nonexistent.yaml"),
        (["node", "add", "x", "--link", "quick"], "'quick' is no link"),
        (["node", "add", "x", "--cpu", "two"], "'two' is no share of a processor"),
    ],
)
def test_mistake_on_the_command_line_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert complaint in said
    assert len(said.splitlines()) == 1


def _script(path: Path, says: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def _archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _module(directory: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> Module:
    """A Go module of one program, `tool`, with a cache of its own."""
    monkeypatch.setenv("EDGELAB_CACHE", str(directory / "cache"))
    place = directory / "module"
    place.mkdir()
    (place / "go.mod").write_text("module example.com/tool\n\ngo 1.21\n")
    (place / "go.sum").write_text("")
    (place / "main.go").write_text(source)
    module = LocalModule("tool", {"tool": "example.com/tool"}, "-s -w", place)
    module.cache.mkdir(parents=True)
    return module


@dataclass(frozen=True)
class LocalModule(Module):
    """A module that lies elsewhere than the lab's own."""

    place: Path

    @property
    def directory(self) -> Path:
        return self.place
