"""A container registry with images that are made here, read-only, on a node's own 127.0.0.1.

Run as a program in the node's network namespace, since container runtimes do without TLS for that address
alone: `registry.py DIRECTORY PORT`. A request's path is the file's; colons are as they come.
"""

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 5000
OCI = "application/vnd.oci.image"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
OURS = ARCHITECTURES[platform.machine()]
FOREIGN = "arm64" if OURS == "amd64" else "amd64"


@dataclass(frozen=True)
class Built:
    """What an image of a list is for one architecture; `settings` is the `config` of an OCI image."""

    settings: Mapping[str, Any]
    layer: bytes
    """A tar archive."""


class Handler(BaseHTTPRequestHandler):
    """The reading half of the registry's protocol: manifests by tag or digest, blobs by digest."""

    root: Path

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        path = self.root / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        kind = json.loads(content)["mediaType"] if "/manifests/" in self.path else "application/octet-stream"
        self.send_header("Content-Type", kind)
        self.send_header("Docker-Content-Digest", digest(content))
        self.end_headers()
        if body:
            self.wfile.write(content)


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def publish(directory: Path, name: str, tag: str, images: Mapping[str, Built]) -> None:
    """Put a manifest list into a registry's directory: for each architecture an image."""
    home = directory / "v2" / name
    listed = [_manifest(home, architecture, image) for architecture, image in images.items()]
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": listed}
    content = json.dumps(index).encode()
    for reference in (tag, digest(content)):
        _write(home / "manifests" / reference, content)


def _manifest(home: Path, architecture: str, image: Built) -> dict[str, Any]:
    # Kubelets remember by its id under which names they pulled an image: the node's own has another.
    config = {
        "author": str(home),
        "architecture": architecture,
        "os": "linux",
        "config": dict(image.settings),
        "rootfs": {"type": "layers", "diff_ids": [digest(image.layer)]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": _blob(home, f"{OCI}.config.v1+json", json.dumps(config).encode()),
        "layers": [_blob(home, f"{OCI}.layer.v1.tar", image.layer)],
    }
    content = json.dumps(manifest).encode()
    _write(home / "manifests" / digest(content), content)
    named = {"mediaType": manifest["mediaType"], "digest": digest(content), "size": len(content)}
    return named | {"platform": {"architecture": architecture, "os": "linux"}}


def _blob(home: Path, kind: str, content: bytes) -> dict[str, Any]:
    _write(home / "blobs" / digest(content), content)
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@contextmanager
def serving(directory: Path, network_namespace: Path) -> Iterator[str]:
    """A registry of what was published there; yields its address, as in the names of images."""
    server = [sys.executable, __file__, str(directory), str(PORT)]
    command = ["nsenter", f"--net={network_namespace}", *server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout and process.stdout.readline() == "listening\n"
            yield f"127.0.0.1:{PORT}"
        finally:
            process.kill()


def main() -> None:
    Handler.root = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
