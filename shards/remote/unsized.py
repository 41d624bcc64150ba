"""Files of web servers that do not say how long they are: chunked answers, by Python's own client.

obstore refuses them. Of the answers without a length only those are read that mark their end, so
that one that breaks off is never taken for a shorter file.
"""

from __future__ import annotations

import base64
import tempfile
import urllib.request
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from shards.errors import StorageError
from shards.remote.failures import PASSING, UnsizedError
from shards.remote.places import is_http, redacted, scheme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPMessage

MOST_BYTES: Final = 64 << 30
"""Of a tar; an answer without a length might have no end."""
_MOST_READ: Final = 8 << 30
"""Of any other file, which `look` has refused then."""
_PIECE_BYTES: Final = 1 << 20
_SECONDS: Final = 60.0
"""Without a byte."""
_PATH: Final = "/%:@!$&'()*+,;=~"
_QUERY: Final = f"{_PATH}?"


def pieces(url: str) -> Iterator[bytes]:
    """Yield the bytes of a file from its beginning, as they come.

    Raises:
        FileNotFoundError: no such file.
        StorageError: the server does not give it, breaks off, or does not end.
    """
    with _answer(url) as answer:
        done = 0
        while piece := _next(url, answer):
            done += len(piece)
            if done > MOST_BYTES:
                raise _unending(url, MOST_BYTES)
            yield piece


def read(url: str, offset: int, size: int, *, look: Callable[[int], None] | None = None) -> bytes:
    """Read a file, or a range of it, as `store.read`; until its size is known, it is on the disk.

    Raises:
        FileNotFoundError, StorageError: as for `pieces`; or the disk is full.
    """
    end = offset + size if size >= 0 else _MOST_READ
    try:
        with tempfile.SpooledTemporaryFile(max_size=_PIECE_BYTES) as file:
            there = 0
            for piece in pieces(url):
                there += file.write(piece)
                if there >= end:
                    break
            found = max(0, min(there, end) - offset)
            if look is not None:
                look(found)
            if size < 0 and there >= end:
                raise _unending(url, end)
            file.seek(offset)
            return file.read(found)
    except FileNotFoundError:
        raise
    except OSError as error:
        why = str(error.strerror or error).lower()
        raise StorageError(
            f"{redacted(url)}: its local copy cannot be written in {tempfile.gettempdir()}: {why}. "
            "Set TMPDIR to a folder with room."
        ) from error


def size_and_etag(url: str) -> tuple[int, str | None]:
    """Return the size of a file in bytes, by reading all of it, and its etag.

    Raises:
        FileNotFoundError, StorageError: as for `pieces`.
    """
    with _answer(url) as answer:
        etag = answer.headers.get("ETag")
    return sum(map(len, pieces(url))), etag


def _unending(url: str, most: int) -> StorageError:
    return StorageError(
        f"{redacted(url)}: does not end within {most >> 30} GiB, and the server does not say how "
        "long it is."
    )


@contextmanager
def _answer(url: str) -> Iterator[HTTPResponse]:
    if not is_http(url):
        raise UnsizedError(url)
    with _explained(url):
        answer = urllib.request.build_opener(_Redirects()).open(_request(url), timeout=_SECONDS)
    with answer:
        if not answer.chunked:
            raise UnsizedError(url)
        yield answer


def _next(url: str, answer: HTTPResponse) -> bytes:
    with _explained(url):
        return answer.read(_PIECE_BYTES)


def _request(url: str) -> urllib.request.Request:
    """Make a request whose user and password are for this host only, not where it redirects to."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    path, query = quote(parts.path, safe=_PATH), quote(parts.query, safe=_QUERY)
    request = urllib.request.Request(  # noqa: S310 - a web address
        urlunsplit((parts.scheme, host, path or "/", query, "")), headers={"User-Agent": "vocscore"}
    )
    if at:
        secret = base64.b64encode(unquote(user).encode()).decode("ascii")
        request.add_unredirected_header("Authorization", f"Basic {secret}")
    return request


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to web addresses only, and never from https:// to http://."""

    def redirect_request(  # noqa: PLR0917 - the library's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request."""
        if not is_http(newurl) or (scheme(req.full_url), scheme(newurl)) == ("https", "http"):
            raise HTTPError(req.full_url, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn errors of the client into one line; its own text may show the whole address."""
    try:
        yield
    except HTTPError as error:
        status: Any = error.code
        error.close()
        if status in (404, 410):
            raise FileNotFoundError(2, "No such key", redacted(url)) from None
        raise StorageError(
            f"{redacted(url)}: the storage answers {status}.",
            passing=status in PASSING,
            status=status,
        ) from None
    except (OSError, HTTPException):
        raise StorageError(
            f"{redacted(url)}: the connection breaks, even after retries. Rerun the same command "
            "later.",
            passing=True,
        ) from None
    except ValueError:
        raise StorageError(f"{redacted(url)}: not an address.") from None
