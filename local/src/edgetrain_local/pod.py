"""A worker's pod, from the operator's own manifest: containers as processes, volumes as directories."""

import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgetrain_local.container import Container
from edgetrain_local.output import Say
from edgetrain_protocol import names
from edgetrain_protocol.names import Env

OF_THE_NODE = ("checkpoint", "model")
"""Volumes that outlive the pod."""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a pod runs, and what it is told of that."""

    address: str
    ports: Mapping[Env, int]
    directory: Path
    """The node's."""
    program: Sequence[str] = ()
    """What runs as a worker there: of any length, unlike in a manifest."""
    inside: Sequence[str] = ()
    """What runs a command there."""
    env: Mapping[str, str] = field(default_factory=dict)
    """In the place of what the manifest says, or beside it."""


class Pod:
    def __init__(self, manifest: Manifest, place: Place, say: Say) -> None:
        self.manifest, self.uid = manifest, f"pod-{secrets.token_hex(4)}"
        self.name = str(manifest["metadata"]["name"])
        self.created = datetime.now(UTC)
        self._place, self._stopped_at = place, 0.0
        self._own = place.directory / self.name
        self.identity, self.authorities = self._own / "identity", self._own / "ca" / "ca.crt"
        spec = manifest["spec"]
        self._grace_seconds = float(spec["terminationGracePeriodSeconds"])
        self._profiler = self._container(spec["initContainers"][0], lambda line: None, always=True)
        self._trainer = self._container(spec["containers"][0], say)

    @property
    def deleting(self) -> bool:
        return self._stopped_at > 0

    @property
    def over(self) -> bool:
        """Nothing of it runs, or will."""
        return self._trainer.over and not self._profiler.running

    @property
    def gone(self) -> bool:
        """It was deleted, and has ended."""
        return self.deleting and not self._trainer.running and not self._profiler.running

    @property
    def trainer_pid(self) -> int | None:
        return self._trainer.pid

    def poll(self, now: float) -> bool:
        """Look after its containers; True where something changed."""
        if self._stopped_at and now > self._stopped_at + self._grace_seconds:
            self.cut()
        changed = self._profiler.poll(now) if not self._trainer.over else self._profiler.running
        if self._trainer.over:
            # The kubelet ends sidecars after the others; it has handed over its reports by then.
            self._profiler.cut()
        return self._trainer.poll(now) or changed

    def delete(self) -> None:
        if not self._stopped_at:
            self._stopped_at = time.monotonic()
            self._trainer.stop()

    def cut(self) -> None:
        self._trainer.cut()
        self._profiler.cut()

    def power_on(self, now: float) -> None:
        if self.deleting:
            return
        for container in (self._profiler, self._trainer):
            container.power_on(now)

    def raw(self) -> Manifest:
        """As the API server would give it."""
        meta = {
            **self.manifest["metadata"],
            "uid": self.uid,
            "creationTimestamp": self.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **({"deletionTimestamp": "now"} if self.deleting else {}),
        }
        ready = "True" if self._trainer.running else "False"
        phase = "Succeeded" if self._trainer.ended_well else "Running"
        status = {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [self._trainer.status()],
            "initContainerStatuses": [self._profiler.status()],
        }
        return {**self.manifest, "metadata": meta, "status": status}

    def write_identity(self, files: Mapping[str, str], authorities: str) -> None:
        """What it is known by: before its containers start."""
        self.identity.mkdir(parents=True, mode=0o700)
        for name, text in files.items():
            (self.identity / name).write_text(text)
        self.authorities.parent.mkdir(parents=True)
        self.authorities.write_text(authorities)

    def _container(self, wanted: Mapping[str, Any], say: Say, *, always: bool = False) -> Container:
        name = str(wanted["name"])
        words = self._own / f"{name}.termination-log"
        directories = {m["mountPath"]: self._directory(m["name"]) for m in wanted["volumeMounts"]}
        for directory in directories.values():
            directory.parent.mkdir(parents=True, exist_ok=True)
            if directory.name not in ("identity", "ca"):
                directory.mkdir(exist_ok=True)
        told = {v["name"]: self._value(v, directories) for v in wanted["env"]}
        # How a program gets on is drawn for all of them together.
        program = {names.PROGRAM_FILES: str(self._own / "program"), names.PROGRESS: "none"}
        env = {
            **os.environ, **program, **told, **self._place.env, names.TERMINATION_LOG: str(words),
            **{str(key): str(port) for key, port in self._place.ports.items()},
        }  # fmt: skip
        log = self._place.directory / f"{name}.log"
        env[names.LOG_FILE] = str(self._place.directory / "supervisor.log")
        command = [*self._place.inside, *self._command(wanted["command"])]
        return Container(name, command, env, log, words, say, always)

    def _command(self, wanted: Sequence[str]) -> Sequence[str]:
        """An image has one Python; here it is the one that runs us, for our own processes without what lies
        beside the program."""
        python, *words = wanted
        assert python == "python"
        ours = words[: words.index("--") + 1] if "--" in words else words
        return [sys.executable, "-P", *ours, *(self._place.program if "--" in words else ())]

    def _directory(self, volume: str) -> Path:
        return (self._place.directory if volume in OF_THE_NODE else self._own) / volume

    def _value(self, variable: Mapping[str, Any], directories: Mapping[str, Path]) -> str:
        if "valueFrom" in variable:
            return self._field(variable["valueFrom"]["fieldRef"]["fieldPath"])
        value = str(variable.get("value", ""))
        for mounted, directory in directories.items():
            if value == mounted or value.startswith(f"{mounted}/"):
                return f"{directory}{value.removeprefix(mounted)}"
        return value

    def _field(self, path: str) -> str:
        fields = {"metadata.name": self.name, "metadata.uid": self.uid, "status.podIP": self._place.address}
        return fields[path]
