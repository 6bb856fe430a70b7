"""What is fetched is whole and what it is said to be, or there is none and an error says why."""

import hashlib
import io
import random
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgetrain.remote import cache
from edgetrain.remote.errors import AccessDenied, BadSource, HashDiffers, NoRoom, NotFound, Unreachable
from edgetrain.remote.patience import Patience
from edgetrain.remote.source import Fetcher, Source
from tests.support.remote_files import Files, serving

LARGE = random.Random(1).randbytes((3 << 20) + 5)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def files() -> Iterator[Files]:
    with serving() as found:
        yield found


def fetch(root: Path, uri: str, sha256: str = "", patient: bool = True, **keys: str) -> dict[str, bytes]:
    """Fetch and read: path below -> content."""

    def patience() -> Patience:
        return Patience(wait=lambda seconds: None, endless=False) if patient else Patience((), endless=False)

    with Fetcher(Source(uri, sha256), root, keys, patience=patience).fetched() as found:
        paths = (path for path in found.path.rglob("*") if path.is_file())
        return {str(path.relative_to(found.path)): path.read_bytes() for path in paths}


def test_a_file_is_fetched_once(tmp_path: Path, files: Files) -> None:
    files.files = {"sets/a.bin": LARGE, "sets/a.bin.sha256": f"{sha(LARGE)}  a.bin\n".encode()}
    assert fetch(tmp_path, files.url("sets/a.bin")) == {"a.bin": LARGE}
    files.seen.clear()
    assert fetch(tmp_path, files.url("sets/a.bin"), sha(LARGE)) == {"a.bin": LARGE}
    assert files.seen == []


def test_it_goes_on_where_it_broke_off(tmp_path: Path, files: Files) -> None:
    files.files = {"a.bin": LARGE}
    files.cuts = [1 << 20, 1000]
    assert fetch(tmp_path, files.url("a.bin"), sha(LARGE)) == {"a.bin": LARGE}
    assert files.sent == len(LARGE) + 1000


def test_who_gives_up_leaves_what_has_come_for_the_next(tmp_path: Path, files: Files) -> None:
    files.files = {"a.bin": LARGE}
    files.cuts = [1 << 20, 1 << 20, 5]
    with pytest.raises(Unreachable, match=r"a\.bin"):
        fetch(tmp_path, files.url("a.bin"), sha(LARGE), patient=False)
    assert not any(path for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert fetch(tmp_path, files.url("a.bin"), sha(LARGE)) == {"a.bin": LARGE}
    assert files.sent == len(LARGE) + 5


def test_a_server_that_is_away_is_asked_again(tmp_path: Path, files: Files) -> None:
    files.files = {"a.bin": LARGE}
    # A HEAD that fails is asked by GET.
    files.statuses = [503] * 6
    assert fetch(tmp_path, files.url("a.bin"), sha(LARGE)) == {"a.bin": LARGE}
    files.statuses = [503] * 40
    with pytest.raises(Unreachable, match="503"):
        fetch(tmp_path / "other", files.url("a.bin"), sha(LARGE))


def test_a_server_without_ranges_sends_it_whole(tmp_path: Path, files: Files) -> None:
    files.files, files.ranges = {"a.bin": LARGE}, False
    files.cuts = [len(LARGE), 2 << 20]
    assert fetch(tmp_path, files.url("a.bin"), sha(LARGE)) == {"a.bin": LARGE}


def test_what_is_something_else_is_refused_and_not_kept(tmp_path: Path, files: Files) -> None:
    files.files = {"a.bin": LARGE}
    with pytest.raises(HashDiffers, match=f"has the sha256 {sha(LARGE)}, not {'0' * 64}"):
        fetch(tmp_path, files.url("a.bin"), "0" * 64)
    assert [path for path in tmp_path.rglob("a.bin") if path.is_file()] == []


def test_a_beginning_of_another_version_is_given_up(tmp_path: Path, files: Files) -> None:
    files.files, files.cuts = {"a.bin": bytes(len(LARGE))}, [1 << 20, 5]
    with pytest.raises(Unreachable):
        fetch(tmp_path, files.url("a.bin"), sha(LARGE), patient=False)
    files.files = {"a.bin": LARGE}
    assert fetch(tmp_path, files.url("a.bin"), sha(LARGE)) == {"a.bin": LARGE}


def test_a_directory_is_what_its_list_says(tmp_path: Path, files: Files) -> None:
    listing = f"{sha(b'one')}  one.txt\n{sha(b'two')} *deep/two words.txt\n".encode()
    files.files = {
        "d/SHA256SUMS": listing,
        "d/one.txt": b"one",
        "d/deep/two words.txt": b"two",
        "d/no": b"",
    }
    assert fetch(tmp_path, files.url("d/")) == {"one.txt": b"one", "deep/two words.txt": b"two"}
    assert fetch(tmp_path, files.url("d/"), sha(listing)).keys() == {"one.txt", "deep/two words.txt"}


@pytest.mark.parametrize("line", ["", "nonsense", f"{'0' * 64}  ../x", f"{'0' * 64}  /etc/x", "0" * 64])
def test_a_list_that_is_none_is_refused(tmp_path: Path, files: Files, line: str) -> None:
    files.files = {"d/SHA256SUMS": line.encode()}
    with pytest.raises(BadSource, match="sha256sum FILES > SHA256SUMS"):
        fetch(tmp_path, files.url("d/"))


def tarred(**members: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return held.getvalue()


def zipped(**members: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as opened:
        for name, data in members.items():
            opened.writestr(name.replace("__", "/"), data)
    return held.getvalue()


def test_archives_are_unpacked(tmp_path: Path, files: Files) -> None:
    tar, zip_ = tarred(main=b"1", lib__x=b"2"), zipped(main=b"1", lib__x=b"2")
    files.files = {"p.tar.gz": tar, "p.zip": zip_}
    for name, data in (("p.tar.gz", tar), ("p.zip", zip_)):
        assert fetch(tmp_path, files.url(name), sha(data)) == {"main": b"1", "lib/x": b"2"}


@pytest.mark.parametrize(
    "data",
    [b"no archive", tarred(main=b"1")[:-20], tarred(**{"..__x": b"1"})],
    # Archives contain the time at which they were made: processes would collect other tests.
    ids=["no archive", "cut short", "out of its directory"],
)
def test_a_bad_archive_is_refused(tmp_path: Path, files: Files, data: bytes) -> None:
    files.files = {"p.tar.gz": data}
    with pytest.raises(BadSource, match=r"p\.tar\.gz cannot be unpacked"):
        fetch(tmp_path, files.url("p.tar.gz"), sha(data))
    assert not list(tmp_path.rglob("x"))


def test_what_is_not_there_or_not_ours_is_said_at_once(tmp_path: Path, files: Files) -> None:
    with pytest.raises(NotFound, match="check the address"):
        fetch(tmp_path, files.url("none"), "0" * 64)
    files.files, files.authorization = {"a": b"a"}, "Bearer secret"
    with pytest.raises(AccessDenied, match="name a Secret"):
        fetch(tmp_path, files.url("a"), sha(b"a"))
    with pytest.raises(AccessDenied, match="check the Secret's keys"):
        fetch(tmp_path, files.url("a"), sha(b"a"), token="wrong")
    assert fetch(tmp_path, files.url("a"), sha(b"a"), token="secret") == {"a": b"a"}
    files.authorization = "Basic dTpw"
    assert fetch(tmp_path / "b", files.url("a"), sha(b"a"), username="u", password="p") == {"a": b"a"}
    for uri in ("ftp://host/x", "main.py", "s3://"):
        with pytest.raises(BadSource, match=r"s3://BUCKET/KEY"):
            fetch(tmp_path, uri, "0" * 64)
    files.files = {"a": b"a", "a.sha256": b"<html>"}
    files.authorization = ""
    with pytest.raises(BadSource, match="holds no sha256"):
        fetch(tmp_path, files.url("a"))


def test_a_bucket_that_is_not_ours_is_said_at_once_and_one_that_is_away_is_asked_again(
    tmp_path: Path, files: Files
) -> None:
    keys = {"AWS_ENDPOINT_URL": files.url("")[:-1], "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    files.statuses = [403]
    with pytest.raises(AccessDenied, match=r"s3://bucket/a: access denied: check the Secret's keys"):
        fetch(tmp_path, "s3://bucket/a", sha(b"a"), True, **keys)
    files.statuses = [503] * 40
    with pytest.raises(Unreachable, match="503"):
        fetch(tmp_path, "s3://bucket/a", sha(b"a"), True, **keys)


def test_files_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "a.bin").write_bytes(LARGE)
    assert fetch(tmp_path / "to", f"file://{tmp_path}/from/a.bin", sha(LARGE)) == {"a.bin": LARGE}
    with pytest.raises(NotFound):
        fetch(tmp_path / "to", f"file://{tmp_path}/from/b.bin")


def test_while_the_store_is_away_what_it_said_last_holds(tmp_path: Path, files: Files) -> None:
    files.files = {"a": b"a", "a.sha256": sha(b"a").encode()}
    assert fetch(tmp_path, files.url("a")) == {"a": b"a"}
    files.statuses = [503] * 40
    assert fetch(tmp_path, files.url("a")) == {"a": b"a"}


def test_two_at_once_fetch_it_once(tmp_path: Path, files: Files) -> None:
    """As two pods of one node do: the second waits, and uses what the first has fetched."""
    files.files, files.pause = {"a.bin": LARGE}, threading.Event()
    with ThreadPoolExecutor(2) as pods:
        first = pods.submit(fetch, tmp_path, files.url("a.bin"), sha(LARGE))
        wait_for(lambda: any(wanted.startswith("bytes=1048576") for _, _, wanted in files.seen))
        second = pods.submit(fetch, tmp_path, files.url("a.bin"), sha(LARGE))
        wait([second], timeout=3 * cache.LOOK_SECONDS)
        assert not second.done()
        files.pause.set()
        assert first.result() == second.result() == {"a.bin": LARGE}
    assert files.sent == len(LARGE)


def test_entries_that_nobody_uses_make_room(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.files = {name: name.encode() for name in "abcd"}
    kept = cache.Cache(tmp_path)
    for name in "abc":
        fetch(tmp_path, files.url(name), sha(name.encode()))
    used = Fetcher(Source(files.url("a"), sha(b"a")), tmp_path, {})
    free = iter([0, 0, 0, 10**12])
    monkeypatch.setattr(kept, "_free", lambda: next(free))
    with used.fetched():
        kept.make_room(1)
    left = {path.name for path in tmp_path.rglob("?") if path.is_file()}
    assert left == {"a"}
    with pytest.raises(NoRoom, match="make room, or give a larger volume"):
        cache.Cache(tmp_path).make_room(1 << 60)
