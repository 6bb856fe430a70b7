"""Container images as archives, in the form of `docker save`, which every containerd can import."""

import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Layer:
    """A file system being written, root-owned; the directories above an entry come by themselves."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._archive = tarfile.TarFile(fileobj=self._buffer, mode="w")
        self._names: set[str] = set()

    def directory(self, path: str, mode: int = 0o755) -> None:
        self._add(path, tarfile.DIRTYPE, mode)

    def link(self, path: str, target: str) -> None:
        self._add(path, tarfile.SYMTYPE, 0o777, target=target)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        self._add(path, tarfile.REGTYPE, mode, content=content)

    def finish(self) -> bytes:
        self._archive.close()
        return self._buffer.getvalue()

    def _add(self, path: str, kind: bytes, mode: int, *, target: str = "", content: bytes = b"") -> None:
        if path in self._names:
            return
        if (above := str(Path(path).parent)) != "/":
            self.directory(above)
        self._names.add(path)
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type, entry.mode, entry.linkname, entry.size = kind, mode, target, len(content)
        self._archive.addfile(entry, io.BytesIO(content))


@dataclass(frozen=True)
class Image:
    """An image of one layer; `settings` is the `config` of an OCI image."""

    settings: dict[str, Any]
    layer: bytes


def write_archive(path: Path, images: dict[str, Image]) -> None:
    """Write images by their tags."""
    manifest, blobs = [], {}
    for number, (tag, image) in enumerate(images.items()):
        digest = hashlib.sha256(image.layer).hexdigest()
        blobs[f"{digest}.tar"] = image.layer
        blobs[f"{number}.json"] = json.dumps(_config(image, digest)).encode()
        manifest.append({"Config": f"{number}.json", "RepoTags": [tag], "Layers": [f"{digest}.tar"]})
    blobs["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as archive:
        for name, content in blobs.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _config(image: Image, digest: str) -> dict[str, Any]:
    return {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": image.settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
