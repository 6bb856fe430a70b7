"""What the real images are made of, and when they have to be built anew."""

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgelab.images import OPERATOR_IMAGE, TRAINER_IMAGE

# Of the base image: a Debian with Python, with what it needs to make virtual environments.
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
# What Debian's own slim images leave out, and what only installs packages.
LEFT_OUT = (
    "boot",
    "media",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log/*",
)

_SHARED = (".dockerignore", "requirements.txt", "protocol/pyproject.toml", "protocol/src")


@dataclass(frozen=True)
class Recipe:
    """One image. `dockerfile` and `inputs` are paths below the top of the repository."""

    tag: str
    dockerfile: str
    inputs: tuple[str, ...]

    def files(self, tree: Path) -> Iterator[Path]:
        """Everything that the image depends on, in a fixed order."""
        for name in (self.dockerfile, *self.inputs, *_SHARED):
            path = tree / name
            yield from [path] if path.is_file() else sorted(filter(_counts, path.rglob("*")))


RECIPES = (
    Recipe(OPERATOR_IMAGE, "Dockerfile", ("operator/pyproject.toml", "operator/src")),
    Recipe(
        TRAINER_IMAGE,
        "trainer-image/Dockerfile",
        ("trainer-image/pyproject.toml", "trainer-image/torch.txt", "trainer-image/src"),
    ),
)


def fingerprint(tree: Path, arguments: Mapping[str, str]) -> str:
    """Sixteen hex digits over all that the images are built from: another one, other images."""
    known = hashlib.sha256(repr((base_fingerprint(), sorted(arguments.items()))).encode())
    for recipe in RECIPES:
        for path in recipe.files(tree):
            known.update(f"{path.relative_to(tree)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return known.hexdigest()[:16]


def base_fingerprint() -> str:
    """As `fingerprint`, of the base image alone."""
    made_of = (SUITE, PACKAGES, LEFT_OUT, platform.machine())
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]


def arguments(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Build arguments that this machine calls for, beside the base image."""
    index = env.get("UV_DEFAULT_INDEX") or env.get("PIP_INDEX_URL") or ""
    return {"TORCH_BACKEND": torch_backend(), "INDEX": index}


def torch_backend() -> str:
    """`cpu` if that build was to be had when this machine was set up; else whatever the index has."""
    return "cpu" if importlib.metadata.version("torch").endswith("+cpu") else ""


def secrets(env: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Files that only the build may see: the CA bundle and the log-in that package managers use here."""
    netrc = env.get("NETRC") or Path.home() / ".netrc"
    wanted = {"ca": env.get("SSL_CERT_FILE"), "netrc": netrc}
    return {name: Path(path) for name, path in wanted.items() if path and Path(path).is_file()}


def _counts(path: Path) -> bool:
    """Whether .dockerignore lets it into a build."""
    skipped = any(part == "__pycache__" or part.endswith(".egg-info") for part in path.parts)
    return path.is_file() and not skipped
