"""The command `edgelab`, as scripts use it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from edgelab.lab import Lab

pytestmark = pytest.mark.lab

NODE = "by-hand"


def test_life_of_a_node_by_hand(lab: Lab) -> None:
    added = ["--link", "20mbit", "--cpu", "0.5", "--site", "A", "--label", "a=b", "--label", "c=d"]
    _edgelab(lab, "node", "add", NODE, *added)
    try:
        view = _node(lab)
        assert view | {"address": ""} == {
            "name": NODE,
            "kind": "edge",
            "power": "on",
            "ready": "True",
            "address": "",
            "link": "20mbit",
            "cpu": 0.5,
            "site": "A",
            "partition": None,
            "offline": False,
            "cuts": [],
        }
        for action, power in (("kill", "off"), ("start", "on"), ("stop", "off")):
            _edgelab(lab, "node", action, NODE)
            assert _node(lab)["power"] == power
        _edgelab(lab, "link", NODE, "5mbit")
        assert _node(lab)["link"] == "5mbit"
    finally:
        _edgelab(lab, "node", "remove", NODE)
    assert NODE not in _edgelab(lab, "status")


def test_partition_and_heal_by_hand(lab: Lab) -> None:
    _edgelab(lab, "node", "add", NODE)
    try:
        _edgelab(lab, "partition", NODE, "edge-1")
        assert _node(lab)["partition"] == 1
        _edgelab(lab, "heal")
        assert _node(lab)["partition"] is None
        _edgelab(lab, "cut", NODE, "edge-1", "--way", "out", "--above", "600", "--only", "data")
        assert _node(lab)["cuts"] == ["data above 600 out, by-hand and edge-1"]
        assert "data above 600 out, by-hand and edge-1" in _edgelab(lab, "status")
        _edgelab(lab, "heal", NODE)
        assert _node(lab)["cuts"] == []
        wait_for(lambda: all(view.ready == "True" for view in lab.status().nodes))
    finally:
        _edgelab(lab, "node", "remove", NODE)


def test_kubeconfig_is_what_kubectl_takes(lab: Lab) -> None:
    path = _edgelab(lab, "kubeconfig").strip()
    assert json.loads(_edgelab(lab, "kubeconfig", "-o", "json")) == {"kubeconfig": path}
    assert Path(path).stat().st_mode & 0o077 == 0
    programs = json.loads(_edgelab(None, "setup", "-o", "json"))
    listed = subprocess.check_output([programs["kubectl"], "--kubeconfig", path, "get", "nodes"], text=True)
    assert "edge-1" in listed


def _edgelab(lab: Lab | None, *arguments: str) -> str:
    name = ["--name", lab.name] if lab else []
    done = subprocess.run(
        [sys.executable, "-m", "edgelab", *arguments, *name], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _node(lab: Lab) -> dict[str, Any]:
    shown = json.loads(_edgelab(lab, "status", "-o", "json"))
    return next(dict(view) for view in shown["nodes"] if view["name"] == NODE)
