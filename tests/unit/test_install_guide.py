"""docs/install.md is read as it is meant, and clusters in Docker are made and taken down as told."""

import os
from pathlib import Path

import pytest

from tests.support.clusters import CLUSTERS, K3D, KIND, Maker, Unusable, in_docker
from tests.support.guide import PAGE, steps

NEEDS_MORE = {"docker", "k3d", "k3s", "kind", "make", "scp", "ssh", "export"}
"""What commands that no lab can run begin with."""

RECORD = """#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
"""


def programs(directory: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> Path:
    """Docker and its company, which write down how they are called; the file with what they wrote."""
    folder = directory / "bin"
    folder.mkdir()
    for name in ("docker", "kind", "k3d", "kubectl", "helm", "make"):
        (folder / name).write_text(RECORD + scripts.get(name, ""))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(directory / "log"))
    return directory / "log"


def test_commands_that_are_not_run_here_need_what_is_not_here() -> None:
    elsewhere = [step for step in steps(PAGE.read_text()) if step.elsewhere]
    assert {step.heading for step in elsewhere} == {"kind", "k3d", "K3s"}
    lines = [line for step in elsewhere for line in step.script.splitlines()]
    assert {line.split()[0] for line in lines} <= NEEDS_MORE


def test_every_block_of_commands_is_a_step() -> None:
    text = PAGE.read_text()
    assert sum(step.script.count("\n") for step in steps(text)) == sum(
        block.partition("```")[0].count("\n") - 1 for block in text.split("```sh")[1:]
    )


@pytest.mark.parametrize("maker", [KIND, K3D], ids=lambda maker: maker.name)
def test_a_cluster_is_made_as_the_page_says_and_taken_down(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = programs(tmp_path, monkeypatch)
    with in_docker(maker) as environment:
        assert len(environment["EDGES"].split()) == 3
        assert environment["CLOUD"] and environment["KUBECONFIG"] != os.environ.get("KUBECONFIG")
        made = log.read_text()
    assert "make images" in made and f"{maker.name} delete" not in made
    assert f"{maker.name} {'create cluster' if maker is KIND else 'cluster create'}" in made
    assert log.read_text().splitlines()[-1] == " ".join(maker.delete)


def test_a_cluster_that_cannot_be_filled_is_taken_down_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = programs(tmp_path, monkeypatch, kind='[ "$1" != load ]')
    with pytest.raises(RuntimeError, match="kind load"), in_docker(KIND):
        raise AssertionError("nothing was loaded")
    assert log.read_text().splitlines()[-1] == " ".join(KIND.delete)


def test_a_persons_own_cluster_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = programs(tmp_path, monkeypatch, kind='[ "$1" = get ] && echo edgetrain')
    with pytest.raises(Unusable, match="kind delete cluster --name edgetrain"), in_docker(KIND):
        raise AssertionError("there is one already")
    assert " ".join(KIND.delete) not in log.read_text()


def test_docker_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(tmp_path, monkeypatch, docker="echo 'cannot connect to the daemon' >&2; exit 1")
    with pytest.raises(Unusable, match="cannot connect to the daemon"), in_docker(KIND):
        raise AssertionError("no Docker")


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unusable, match="needs docker, k3d, kubectl, helm"), CLUSTERS["k3d"]():
        raise AssertionError("nothing is there")
    for name in ("KUBECONFIG", "CLOUD", "EDGES"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Unusable, match="set KUBECONFIG, CLOUD, EDGES"), CLUSTERS["given"]():
        raise AssertionError("none was given")
