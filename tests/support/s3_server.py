"""moto's S3 server, as a process, with one bucket."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetrain.remote.file_systems import file_system
from edgetrain_local.ports import free_ports

PROGRAM = Path(__file__).parents[2] / ".venv" / "s3-server" / "bin" / "moto_server"
BUCKET = "bucket"


@dataclass
class S3:
    port: int

    @property
    def keys(self) -> dict[str, str]:
        """As a Secret has them."""
        return {
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "key",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }

    def write_keys(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name, value in self.keys.items():
            (directory / name).write_text(value)

    def put(self, key: str, data: bytes) -> None:
        self._files().pipe_file(f"{BUCKET}/{key}", data)

    def get(self, key: str) -> bytes:
        return bytes(self._files().cat_file(f"{BUCKET}/{key}"))

    def names(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return sorted(
                name.removeprefix(f"{BUCKET}/") for name in self._files().find(BUCKET) if "/" in name
            )
        return []

    def clear(self) -> None:
        for name in self.names():
            self._files().rm_file(f"{BUCKET}/{name}")

    def _files(self) -> Any:
        return file_system(f"s3://{BUCKET}/", self.keys)


@contextlib.contextmanager
def serving_s3(directory: Path) -> Iterator[S3]:
    """With one empty bucket, once it answers."""
    (port,) = free_ports(1)
    with (directory / "s3.log").open("wb") as log:
        process = subprocess.Popen([str(PROGRAM), "-p", str(port)], stdout=log, stderr=log)
    try:
        _await(port)
        yield S3(port)
    finally:
        process.kill()
        process.wait()


def _await(port: int) -> None:
    import http.client

    due = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("PUT", f"/{BUCKET}")
            assert connection.getresponse().status == 200
            return
        except ConnectionRefusedError:
            assert time.monotonic() < due, "the S3 server does not come up"
            time.sleep(0.1)
        finally:
            connection.close()
