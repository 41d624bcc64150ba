"""Opens the storage of a URL, once per process and bucket; what is opened holds credentials."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from threading import Lock
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from shards.errors import StorageError
from shards.remote import credentials
from shards.remote.places import redacted, split

RETRY: Final[dict[str, Any]] = {
    # Against 503 and broken connections: at most some ten seconds, then the error is told.
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
_SECONDS: Final = "120s"
"""Of a request with its body: 16 MiB at 140 KB/s. The library's own limit is 30 seconds."""
_LOCK: Final = Lock()

MISSING: Final = "needs obstore: pip install 'vocscore[remote]'"


class Object(NamedTuple):
    """A place in storage.

    Attributes:
        store: obstore's; never pickled, since it holds the secret key.
        key: the key in it.
    """

    store: Any
    key: str


def opened(url: str) -> Object:
    """Open the storage of a URL.

    Raises:
        StorageError: no such scheme, a library is missing, or there are no credentials.
    """
    where = redacted(url)
    try:
        kind, bucket, key = split(url)
    except ValueError as error:
        raise StorageError(f"{where}: {error}") from None
    if kind == "hf":
        from shards.remote import hub

        address, token = hub.address(url)
        web, host, key = split(address)
        return Object(_store(web, host, "", token), unquote(key))
    query = ""
    if kind in ("http", "https"):
        key, mark, query = key.partition("?")
        key, query = unquote(key.rstrip("/")), (mark + query).partition("#")[0]
    return Object(_store(kind, bucket, query, None), key)


def _store(kind: str, bucket: str, query: str, token: str | None) -> Any:
    with _LOCK:  # 64 threads that ask for the same bucket open one store
        return _cached(kind, bucket, query, token)


@lru_cache(maxsize=64)
def _cached(kind: str, bucket: str, query: str, token: str | None) -> Any:
    where = redacted(f"{kind}://{bucket}")
    try:
        from obstore.exceptions import BaseError
        from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store
    except ImportError:
        raise StorageError(f"{where}: {MISSING}") from None
    client: dict[str, Any] = {"timeout": _SECONDS}
    common: dict[str, Any] = {"client_options": client, "retry_config": RETRY}
    try:
        if kind == "s3":
            options = credentials.s3_options(where)
            client["allow_http"] = str(options.get("endpoint", "")).startswith("http://")
            return S3Store(bucket, **options, **common)
        if kind == "gs":
            return GCSStore(bucket, **credentials.gs_options(where), **common)
        if kind == "az":
            return AzureStore(bucket, **credentials.az_options(where), **common)
        if token is not None:
            client["default_headers"] = {"authorization": f"Bearer {token}"}
        client["allow_http"] = kind == "http"
        return HTTPStore(f"{kind}://{bucket}/{query}", **common)
    except (BaseError, ValueError, TypeError):  # its text may show what it was given
        raise StorageError(
            f"{where}: the storage cannot be opened. Check the name, the endpoint and the "
            "variables of the credentials."
        ) from None


def forget() -> None:
    """Close every store, so that the next request reads the variables again."""
    _cached.cache_clear()
