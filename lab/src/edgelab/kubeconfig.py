"""Kubeconfig files with everything in them, so that one can be copied anywhere."""

import base64
from pathlib import Path

import yaml

from edgelab.api import PORT
from edgelab.pki import Pair


def write_kubeconfig(path: Path, address: str, ca: Pair, user: Pair) -> None:
    """Write one for the owner of this certificate, readable by its file's owner alone."""
    cluster = {"server": f"https://{address}:{PORT}", "certificate-authority-data": _data(ca.certificate)}
    credentials = {"client-certificate-data": _data(user.certificate), "client-key-data": _data(user.key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "edgelab",
        "clusters": [{"name": "edgelab", "cluster": cluster}],
        "users": [{"name": "edgelab", "user": credentials}],
        "contexts": [{"name": "edgelab", "context": {"cluster": "edgelab", "user": "edgelab"}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
