"""Thin images: empty file systems into which this machine's programs and working tree are mounted.

No image is built: a container sees /usr, the Python installation, the virtual environment and the source
tree of this machine, read-only and at the same paths, so that a change is tried by starting a pod anew.
"""

import json
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgelab.archive import Image, Layer, write_archive
from edgelab.errors import LabError
from edgelab.shell import run

_CARRIED = "/run/edgelab/thin"
_SYSTEM_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
# A hook is told its container's directory on stdin.
_LATE_MOUNT = f"""
bundle=$(sed 's/.*"bundle": *"\\([^"]*\\)".*/\\1/')
mkdir -p "$bundle/rootfs$1"
mount -n --rbind "{_CARRIED}$1" "$bundle/rootfs$1"
mount -n -o remount,bind,ro,nosuid,nodev "$bundle/rootfs$1"
"""

PAUSE_IMAGE = "edgelab.local/pause:1"
OPERATOR_IMAGE, TRAINER_IMAGE = "edgetrain/operator:dev", "edgetrain/trainer:dev"
"""As the chart names them."""
ARCHIVE = "lab.tar"
USER = 65532
_AS_USER = {"User": f"{USER}:{USER}", "WorkingDir": "/"}

_SYSTEM = (
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc/ssl",
    "/etc/alternatives",
)
_COPIED = "/etc/ld.so.cache"
"""Not bound: a package that is installed meanwhile replaces it, and what had been bound would be gone."""
_ACCOUNTS = {
    "/etc/passwd": f"root:x:0:0:root:/root:/bin/sh\nnonroot:x:{USER}:{USER}:nonroot:/tmp:/bin/sh\n",
    "/etc/group": f"root:x:0:\nnonroot:x:{USER}:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
# Holds a pod's namespaces. Ends when asked to, as `sleep` as process 1 would not, and reaps what it inherits.
_PAUSE = ["/bin/sh", "-c", "trap exit TERM INT; while :; do sleep infinity & wait; done"]
_PAUSE_PROGRAMS = ("/bin/sh", "/bin/sleep")


_LIBRARY = re.compile(r"(/\S+) \(0x")


@dataclass(frozen=True)
class ThinImages:
    """What a node needs for them: where it binds each directory below its /run, and containers' base spec."""

    binds: dict[str, Path]
    runtime_spec: dict[str, Any]


def source_tree() -> Path | None:
    """Root of the repository that this package is run from; None where it was installed by a copy."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "lab" / "pyproject.toml").is_file() else None


def mounted_paths() -> list[Path]:
    """Directories and files of this machine that containers see; none lies within another.

    Raises:
        LabError: containers' user may not read one.
    """
    interpreter = Path(sys.executable).resolve()
    wanted = [Path(p) for p in _SYSTEM] + [Path(sys.base_prefix), Path(sys.prefix), interpreter.parent]
    wanted += [tree] if (tree := source_tree()) else []
    real = sorted({path for path in wanted if path.exists() and not path.is_symlink()})
    for path in {*real, Path(__file__)}:
        if not path.stat().st_mode & stat.S_IROTH:
            raise LabError(f"containers run as user {USER}, who may not read {path}: chmod -R o+rX {path}")
    return [path for path in real if not any(other in path.parents for other in real)]


def prepare(directory: Path, *, thin: bool) -> None:
    """Write the archive that every node imports: the pause image, and the thin ones where they are used."""
    directory.mkdir(parents=True, exist_ok=True)
    pause = {PAUSE_IMAGE: _pause()}
    write_archive(directory / ARCHIVE, pause | (_thin(mounted_paths()) if thin else {}))


def make_thin(paths: list[Path]) -> ThinImages:
    """How nodes carry these paths: bound below /run/edgelab/thin, as /var of a node hides the machine's.

    With no paths, containers see what their images hold and nothing else.
    """
    specification = json.loads(run(["ctr", "oci", "spec"]))
    late = [path for path in paths if path.is_relative_to("/tmp")]
    specification["mounts"] += [_mount(path) for path in paths if path not in late]
    specification["hooks"] = {"createContainer": [_late_mount(path) for path in late]}
    return ThinImages({f"edgelab/thin{path}": path for path in paths}, specification)


def _mount(path: Path) -> dict[str, Any]:
    options = ["rbind", "ro", "nosuid", "nodev"]
    return {"destination": str(path), "type": "bind", "source": f"{_CARRIED}{path}", "options": options}


def _late_mount(path: Path) -> dict[str, Any]:
    """A working tree below /tmp is mounted after all else: a pod's own volume at /tmp would hide it."""
    arguments = ["sh", "-ec", _LATE_MOUNT, "late-mount", str(path)]
    return {"path": "/bin/sh", "args": arguments, "env": [_SYSTEM_PATH]}


def _thin(paths: list[Path]) -> dict[str, Image]:
    search = f"PATH={Path(sys.prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    environment = [search, "HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"]
    image = Image(_AS_USER | {"Env": environment}, _thin_layer(paths))
    return {f"docker.io/{name}": image for name in (OPERATOR_IMAGE, TRAINER_IMAGE)}


def _pause() -> Image:
    return Image(_AS_USER | {"Env": ["PATH=/bin"], "Entrypoint": _PAUSE}, _pause_layer())


def _thin_layer(paths: list[Path]) -> bytes:
    """Empty places for what is mounted, accounts, and the usual links to /usr."""
    layer = Layer()
    for path in paths:
        if path.is_dir():
            layer.directory(str(path))
        else:
            layer.file(str(path), b"")
    for link in (Path(p) for p in _SYSTEM if Path(p).is_symlink()):
        layer.link(str(link), str(link.readlink()))
    for place in ("/proc", "/sys", "/dev", "/run", "/var"):
        layer.directory(place)
    layer.directory("/tmp", mode=0o1777)
    for name, content in _ACCOUNTS.items():
        layer.file(name, content.encode())
    if (cache := Path(_COPIED)).exists():
        layer.file(_COPIED, cache.read_bytes())
    return layer.finish()


def _pause_layer() -> bytes:
    """This machine's shell and its libraries: nothing is mounted into the container that holds a pod."""
    layer = Layer()
    for program in _PAUSE_PROGRAMS:
        for file in [program, *_LIBRARY.findall(run(["ldd", program]))]:
            layer.file(file, Path(file).read_bytes(), mode=0o755)
    return layer.finish()
