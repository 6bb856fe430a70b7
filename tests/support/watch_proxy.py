"""A proxy before an API server whose watches can fall silent and stay open, or end because they are too old.

Without TLS, since it is to read what it passes on; all but watches goes through as it is.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from tests.support.apiserver import ADMIN_TOKEN, ApiServer

GONE = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'


class WatchProxy:
    def __init__(self, api: ApiServer) -> None:
        self._api, self.url = api, ""
        self._silent = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._expired = asyncio.Event()

    def silence(self) -> None:
        """From now on nothing comes by any watch, and none ends; what it would have told is lost."""
        self._silent.set()

    def expire(self) -> None:
        """All watches end as too old; those begun afterwards are whole."""
        self._loop.call_soon_threadsafe(self._expire)

    def kubeconfig(self, directory: Path) -> str:
        path = directory / "proxied"
        named = {
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": ADMIN_TOKEN}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }
        path.write_text(
            yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", **named})
        )
        return str(path)

    async def start(self) -> None:
        context = ssl.create_default_context(cafile=str(self._api.ca_file))
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def call(self, what: str) -> None:
        """`start` or `stop`, from another thread."""
        asyncio.run_coroutine_threadsafe(getattr(self, what)(), self._loop).result(20)

    def close(self) -> None:
        self.call("stop")
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _expire(self) -> None:
        self._silent.clear()
        self._expired.set()
        self._expired = asyncio.Event()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _OF_A_HOP}
        body, to = await request.read(), f"{self._api.url}{request.path_qs}"
        unlimited = aiohttp.ClientTimeout(total=None)
        async with self._session.request(
            request.method, to, headers=headers, data=body, timeout=unlimited
        ) as found:
            kept = {key: value for key, value in found.headers.items() if key.lower() not in _OF_A_HOP}
            if request.query.get("watch") != "true":
                return web.Response(status=found.status, headers=kept, body=await found.read())
            answer = web.StreamResponse(status=found.status, headers=kept)
            await answer.prepare(request)
            await self._watch(found, answer)
            return answer

    async def _watch(self, found: aiohttp.ClientResponse, answer: web.StreamResponse) -> None:
        ended = asyncio.ensure_future(self._expired.wait())
        coming = asyncio.ensure_future(found.content.readany())
        try:
            while await asyncio.wait({ended, coming}, return_when=asyncio.FIRST_COMPLETED):
                if ended.done():
                    await answer.write(GONE)
                    return
                if not coming.result():
                    return
                if not self._silent.is_set():
                    await answer.write(coming.result())
                coming = asyncio.ensure_future(found.content.readany())
        finally:
            ended.cancel()
            coming.cancel()


_OF_A_HOP = frozenset({"host", "connection", "content-length", "transfer-encoding", "keep-alive"})


@contextmanager
def proxied_watches(api: ApiServer) -> Iterator[WatchProxy]:
    proxy = WatchProxy(api)
    thread = threading.Thread(target=proxy.run, name="watch-proxy", daemon=True)
    thread.start()
    proxy.call("start")
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(10)
