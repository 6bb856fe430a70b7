"""The operator's own numbers: who may read them."""

import asyncio
import http.client
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from edgetrain_operator.runtime.server import Server

PAGES = ("/metrics", "/metrics/workers")


async def ask(token_file: Path | None, *asked: tuple[str, str | None]) -> list[int]:
    """Status of each page, asked for with this as Authorization."""
    server = Server(CollectorRegistry(), lambda: lambda: b"", lambda: 0.0, token_file)
    await server.start(0)
    try:
        return [await asyncio.to_thread(status, server.port, page, shown) for page, shown in asked]
    finally:
        await server.stop()


def status(port: int, page: str, shown: str | None) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", page, headers={"Authorization": shown} if shown is not None else {})
        return connection.getresponse().status


@pytest.mark.parametrize("page", PAGES)
def test_scrapes_show_the_token_where_there_is_one(tmp_path: Path, page: str) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    wrong = ["Bearer other", "Bearer ", "s3cret", "Bearer s3cret2", "Basic s3cret", "Bearer s\xe9cret", ""]
    asked = [(page, None), *((page, shown) for shown in wrong), (page, "Bearer s3cret")]
    assert asyncio.run(ask(file, *asked)) == [401] * 8 + [200]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"], ids=["missing", "empty", "no text"])
def test_nobody_may_scrape_while_the_token_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    assert asyncio.run(ask(file, ("/metrics", "Bearer "), ("/metrics", None))) == [401, 401]


def test_a_renewed_token_holds_from_the_next_scrape(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")

    async def story() -> None:
        server = Server(CollectorRegistry(), lambda: lambda: b"", lambda: 0.0, file)
        await server.start(0)
        try:
            assert await asyncio.to_thread(status, server.port, "/metrics", "Bearer old") == 200
            file.write_text("new")
            seen = [
                await asyncio.to_thread(status, server.port, "/metrics", f"Bearer {t}")
                for t in ("old", "new")
            ]
            assert seen == [401, 200]
        finally:
            await server.stop()

    asyncio.run(story())


def test_probes_show_none_and_without_one_anybody_reads(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret")
    assert asyncio.run(ask(file, ("/healthz", None))) == [200]
    assert asyncio.run(ask(None, *((page, None) for page in PAGES))) == [200, 200]
