"""Images as a node's containerd holds them: loaded once, then given to each node as a copy.

Loading unpacks some gigabytes. A copy's layers are hard links to the first one's, since containerd never
writes to them; its databases are true copies.
"""

import json
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgelab.errors import LabError
from edgelab.shell import run

SIZES = "sizes.json"
_CONTAINERD = "containerd"
_DATABASES = "*/*.db"
_SECONDS = 900.0
_START_SECONDS = 20.0
_POLL_SECONDS = 0.05

_CONFIG = """
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{socket}"
"""


def load(store: Path, archives: Iterable[Path]) -> None:
    """Make a store, a directory that is not there yet, of what `docker save` or buildah wrote."""
    draft = store.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / _CONTAINERD).mkdir(parents=True)
    sizes: dict[str, int] = {}
    with _containerd(draft / _CONTAINERD) as socket:
        for archive in archives:
            client = ["ctr", f"--address={socket}", "--namespace=k8s.io"]
            run([*client, "images", "import", str(archive)], timeout=_SECONDS)
            sizes |= unpacked_sizes(archive)
    (draft / SIZES).write_text(json.dumps(sizes, indent=1))
    # Renamed into place: what an interruption leaves is no store.
    draft.rename(store)


def clone(store: Path, target: Path) -> None:
    """Copy a store's containerd to `target`, unless that is there already."""
    if target.exists():
        return
    draft = target.with_name(f"{target.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    linked = ["--link"] if store.stat().st_dev == draft.parent.stat().st_dev else []
    run(["cp", "--archive", *linked, store, draft], timeout=_SECONDS)
    for database in draft.glob(_DATABASES) if linked else ():
        own = database.with_suffix(".own")
        shutil.copyfile(database, own)
        own.replace(database)
    draft.rename(target)


def containerd_of(store: Path) -> Path:
    """What `clone` copies."""
    return store / _CONTAINERD


def sizes_of(store: Path) -> dict[str, int]:
    """Unpacked bytes of each image by its tag."""
    return dict(json.loads((store / SIZES).read_text()))


def unpacked_sizes(archive: Path) -> dict[str, int]:
    """Bytes of the files in all of an image's layers, by its tags: what `docker images` shows."""
    with tarfile.open(archive) as outer:
        listed = outer.extractfile("manifest.json")
        assert listed
        images = json.load(listed)
        return {
            tag: sum(_layer_bytes(outer, layer) for layer in i["Layers"])
            for i in images
            for tag in i["RepoTags"]
        }


def _layer_bytes(outer: tarfile.TarFile, name: str) -> int:
    with tarfile.open(fileobj=outer.extractfile(name)) as layer:
        return sum(member.size for member in layer if member.isfile())


@contextmanager
def _containerd(root: Path) -> Iterator[Path]:
    """A containerd on `root`, for as long as it takes. Yields its socket."""
    # Below /run: the path of a socket may have 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="edgelab-", dir="/run") as state:
        config, socket, log = Path(state, "config.toml"), Path(state, "socket"), Path(state, "log")
        config.write_text(_CONFIG.format(root=root, state=f"{state}/state", socket=socket))
        # In a mount namespace of its own, with which the mounts go that it makes while it unpacks.
        argv = ["unshare", "--mount", "containerd", "--config", str(config)]
        with log.open("w") as told, subprocess.Popen(argv, stdout=told, stderr=told) as process:
            try:
                _wait_for(socket, process, log)
                yield socket
            finally:
                process.terminate()


def _wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"containerd did not start: {log.read_text().strip()[-500:]}")
        time.sleep(_POLL_SECONDS)
