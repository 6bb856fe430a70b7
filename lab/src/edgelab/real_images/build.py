"""Building the real images and loading them, once for each state of what they are made of."""

import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgelab.errors import LabError
from edgelab.images import source_tree
from edgelab.programs.packages import BUILDING, install_packages
from edgelab.programs.pinned import cache_root
from edgelab.real_images import recipe, store
from edgelab.real_images.base import make_base
from edgelab.real_images.buildah import Buildah

Say = Callable[[str], None]


def ensure_built(say: Say) -> Path:
    """The store with the images of the working tree as it is now; built where it is not there yet.

    Raises:
        LabError: there is no working tree, a tool cannot be had, or a build failed.
    """
    tree = source_tree()
    if tree is None:
        raise LabError("real images are built from the repository: run edgelab from a checkout of it")
    install_packages(say, BUILDING)
    home, arguments = cache_root() / "images", recipe.arguments()
    with _locked(home):
        made = home / f"store-{recipe.fingerprint(tree, arguments)}"
        if not made.is_dir():
            say("building real images: minutes the first time, and gigabytes of disk")
            _make(made, tree, arguments, say)
    return made


def _make(made: Path, tree: Path, arguments: dict[str, str], say: Say) -> None:
    # Each holds gigabytes; a lab that is up has links of its own to what it uses.
    for old in made.parent.glob("store-*"):
        shutil.rmtree(old)
    buildah = Buildah(made.parent)
    base = make_base(buildah, say)
    with tempfile.TemporaryDirectory(dir=made.parent) as drafts:
        archives = []
        for number, wanted in enumerate(recipe.RECIPES):
            image, archive = f"docker.io/{wanted.tag}", Path(drafts, f"{number}.tar")
            say(f"  {wanted.tag}")
            options = _options(arguments | {"BASE": base, "RUNTIME": base})
            buildah.build(image, tree, wanted.dockerfile, options, say)
            buildah.save(image, archive)
            archives.append(archive)
        say("  loading them")
        store.load(made, archives)


def _options(arguments: dict[str, str]) -> list[str]:
    given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    return given + [f"--secret=id={name},src={path}" for name, path in recipe.secrets().items()]


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Two labs that start at once build once."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
