"""What it takes of a machine: memory of operator and sidecar, images, series for Prometheus."""

import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, publish
from benchmarks.resident import operator_pids, operator_pod, resident, sidecar_pids
from edgelab.images import OPERATOR_IMAGE, TRAINER_IMAGE
from edgelab.real_images.build import ensure_built
from edgelab.real_images.recipe import torch_backend
from edgelab.real_images.store import containerd_of, sizes_of
from edgetrain_protocol.names import OPERATOR_METRICS_PORT, PROFILER_PORT

SETTLE_SECONDS = float(os.environ.get("SETTLE_SECONDS", "60"))
"""For caches to fill and start-up to be over, before memory is read."""
NODES = edges("50mbit", "50mbit", "50mbit", "50mbit", cpus=[0.4] * 4)
ONLY_CUDA = ("nvidia/**/*", "cuda/**/*", "triton/**/*", "torch/lib/libtorch_cuda*")
"""Of site-packages: what torch's CPU build goes without."""


def series(exposition: str) -> int:
    """How many series a page of metrics has."""
    return sum(bool(line) and not line.startswith("#") for line in exposition.splitlines())


def operator_series(test: Bed) -> int:
    """Of jobs and workers, which the operator relays."""
    return series(page(operator_pod(test)["address"], OPERATOR_METRICS_PORT, "/metrics/workers"))


def pod_series(pod: dict[str, Any]) -> int:
    """On the profiler's page, which tells of its trainer too."""
    return series(page(pod["status"]["podIP"], PROFILER_PORT, "/metrics"))


def page(address: str, port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def running(test: Bed) -> Iterator[Row]:
    time.sleep(SETTLE_SECONDS)
    yield Row("operator, idle", resident(operator_pids(test)), "MB", Goal("<", 120))
    before = operator_series(test)
    test.start(program=test.program_from_config_map("--epochs", "100000"), nodes={"min": len(test.nodes)})
    test.wait_training(len(test.nodes))
    time.sleep(SETTLE_SECONDS)
    sidecars = [resident(sidecar_pids(test, node)) for node in test.nodes]
    yield Row("sidecar, the largest", max(sidecars), "MB", Goal("<", 64), sidecars)
    yield Row("operator, while they train", resident(operator_pids(test)), "MB")
    own = [float(pod_series(pod)) for pod in test.pods().values()]
    relayed = (operator_series(test) - before) / len(test.nodes)
    yield Row("series per worker, relayed (its part of the job's too)", relayed, "series", Goal("<=", 60))
    yield Row("series per worker, scraped on site", max(own), "series", Goal("<=", 60), own)


def images() -> Iterator[Row]:
    """Unpacked, as they lie on a node's disk."""
    store = ensure_built(print)
    sizes = {tag.removeprefix("docker.io/"): size / 1e6 for tag, size in sizes_of(store).items()}
    yield Row("operator image", sizes[OPERATOR_IMAGE], "MB", Goal("<", 200))
    if torch_backend() == "cpu":
        yield Row("trainer image", sizes[TRAINER_IMAGE], "MB", Goal("<", 1200))
        return
    yield Row("trainer image, with torch's CUDA build (no other in reach)", sizes[TRAINER_IMAGE], "MB")
    yield Row("trainer image without what only CUDA needs", sizes[TRAINER_IMAGE] - only_cuda(store), "MB")


def only_cuda(store: Path) -> float:
    """MB."""
    layers = containerd_of(store).glob("*/snapshots/*/fs/opt/edgetrain/lib/python3*/site-packages")
    files = {file for layer in layers for pattern in ONLY_CUDA for file in layer.glob(pattern)}
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink()) / 1e6


def main() -> int:
    with bed("footprint", NODES, images="real") as test:
        rows = [*images(), *running(test)]
    return 0 if publish("footprint", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
