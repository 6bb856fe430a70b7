"""Which of fsspec's file systems an address is of. Each library is loaded where it is asked for."""

import base64
import os
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from edgetrain.remote.errors import BadSource
from edgetrain.remote.keys import AUTHORITIES, PASSWORD, TOKEN, USERNAME, Keys

CONNECT_SECONDS, SILENT_SECONDS = 15, 30
SCHEMES = ("file", "http", "https", "s3")
USUAL_REGION = "us-east-1"
_S3_KEYS = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
    "endpoint": "AWS_ENDPOINT_URL",
    "region": "AWS_REGION",
}
_OTHER_CREDENTIALS = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def scheme_of(uri: str) -> str:
    """Raises BadSource: nothing that can be opened."""
    scheme, colon, rest = uri.partition("://")
    if not colon or not rest or scheme not in SCHEMES:
        raise BadSource(
            f"{uri!r} cannot be opened: give file:///PATH, http(s)://HOST/PATH or s3://BUCKET/KEY"
        )
    return scheme


def below(uri: str, name: str) -> str:
    """The address of a file below a directory."""
    return f"{uri}{quote(name) if uri.startswith('http') else name}"


def file_system(uri: str, keys: Keys, env: Mapping[str, str] = os.environ) -> Any:
    """The file system of this address.

    Raises:
        BadSource: nothing that can be opened.
    """
    match scheme_of(uri):
        case "file":
            from fsspec.implementations.local import LocalFileSystem

            return LocalFileSystem(auto_mkdir=True)
        case "s3":
            return _s3(keys, env)
        case _:
            return _http(keys)


def _http(keys: Keys) -> Any:
    import aiohttp
    from fsspec.implementations.http import HTTPFileSystem

    async def client(**options: Any) -> aiohttp.ClientSession:
        trusted = ssl.create_default_context(cadata=keys.get(AUTHORITIES))
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted), **options)

    options: dict[str, Any] = {
        # A slow link takes its time: only silence is bounded.
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS),
        # Proxies, as the environment has them.
        "trust_env": True,
    }
    if TOKEN in keys:
        options["headers"] = {"Authorization": f"Bearer {keys[TOKEN]}"}
    elif USERNAME in keys:
        said = base64.b64encode(f"{keys[USERNAME]}:{keys.get(PASSWORD, '')}".encode()).decode()
        options["headers"] = {"Authorization": f"Basic {said}"}
    # What is packed on the way has another length than is asked for.
    headers = {"Accept-Encoding": "identity"}
    return HTTPFileSystem(client_kwargs=options, get_client=client, headers=headers, skip_instance_cache=True)


def _s3(keys: Keys, env: Mapping[str, str]) -> Any:
    """The Secret before the environment. Without any credentials requests are not signed: to look for them at
    the cloud's metadata service, as libraries do, takes a device that is in none a minute."""
    from obstore.fsspec import FsspecStore

    said = {**env, **keys}
    config: Any = {name: said[key] for name, key in _S3_KEYS.items() if said.get(key)}
    config.setdefault("region", said.get("AWS_DEFAULT_REGION") or USUAL_REGION)
    if "access_key_id" not in config and not any(env.get(key) for key in _OTHER_CREDENTIALS):
        config["skip_signature"] = True
    client: Any = {
        "allow_http": True,
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "read_timeout": f"{SILENT_SECONDS}s",
        # Of a part that is sent: there is no bound on silence there.
        "timeout": "600s",
    }
    if AUTHORITIES in keys:
        client["root_certificate"] = keys[AUTHORITIES]
    # What is tried again, and when, is decided by us, alike for all stores.
    retry: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=1)}
    return FsspecStore("s3", config=config, client_options=client, retry_config=retry)
