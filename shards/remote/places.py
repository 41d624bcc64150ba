"""URLs of places in object storage, as text; nothing here imports a library or opens a connection.

A key is written as it is, without percent-encoding, as the tools of all clouds do. Only `https://`
has percent-encoding and a query, which may hold a signature: `redacted` is for messages.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final

SCHEMES: Final = ("s3", "gs", "az", "hf", "https", "http")
"""What is read; `http` for loopback and for servers in a private network."""
_ALIASES: Final = {"gcs": "gs", "s3a": "s3", "s3n": "s3"}
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HTTP: Final = ("http", "https")
_BUCKET: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")
"""Other names would end the library's own thread."""
ODD: Final = (
    "a key in it cannot be read (an empty, '.' or '..' part, or a control character). Rename it, "
    "or name a folder without it"
)
_PORT: Final = re.compile(r"[^:]*:\d*|\[.*\](:\d*)?")
REFUSED: Final = (
    "a URL with credentials or a query is not accepted, since it is stored with the run. Set the "
    "credentials in the environment, or download it"
)
"""What is wrong with a URL for which `has_secret` holds."""


def scheme(place: str) -> str | None:
    """Return the scheme in lower case, such as 's3'; None if the text is not a URL."""
    match = _URL.match(place)
    return None if match is None else _ALIASES.get(match[1].lower(), match[1].lower())


def is_remote(place: str) -> bool:
    """Whether a text is a URL that this package reads; a path is not."""
    return "://" in place and scheme(place) in SCHEMES


def is_http(place: str) -> bool:
    """Whether a text is a web address, which cannot be listed or written."""
    return "://" in place and scheme(place) in _HTTP


def split(url: str) -> tuple[str, str, str]:
    """Return scheme, bucket and key; the key has no '/' at its beginning or end.

    The bucket of `az` is the container, that of `https` the host with its port, and that of `hf`
    the repository with its kind and revision ('datasets/ORG/NAME@REV'; a model has no kind).

    Raises:
        ValueError: there is no bucket, the URL has credentials, or its key cannot be read.
    """
    kind = scheme(url)
    rest = url[url.index("://") + 3 :]
    if kind not in _HTTP and _user(rest):
        raise ValueError(REFUSED)
    if kind == "hf":
        parts = rest.split("/")
        count = 3 if parts[0] in ("datasets", "spaces") else 2
        bucket, key = "/".join(parts[:count]), "/".join(parts[count:])
        if len(parts) < count or not all(parts[:count]):
            raise ValueError("it names no repository: hf://datasets/ORG/NAME/PATH")
    else:
        bucket, _, key = rest.partition("/")
    if not bucket or kind is None:
        raise ValueError(f"it names no bucket: {kind}://BUCKET/PATH")
    if kind in _HTTP:
        return kind, bucket, key.strip("/")
    if kind != "hf" and not _BUCKET.fullmatch(bucket):
        raise ValueError("not the name of a bucket")
    key = key.rstrip("/")
    if key and not {"", ".", ".."}.isdisjoint(key.split("/")):
        raise ValueError(ODD)
    return kind, bucket, key


def _parts(url: str) -> tuple[str, str]:
    """Split a query off a web address; keys of storage may contain '?' and '#'."""
    if scheme(url) in SCHEMES and not is_http(url):
        return url, ""
    cut = re.search(r"[?#]", url)
    return (url, "") if cut is None else (url[: cut.start()], url[cut.start() :])


def join(url: str, relative: str) -> str:
    """Return the place of a name relative to a URL; a name that is itself a URL stays as it is."""
    if is_remote(relative):
        return relative
    base, query = _parts(url)
    return f"{base.rstrip('/')}/{relative}{query}" if relative else url


def parent(url: str) -> str:
    """Return the URL of the folder of a key, without a query and without '/' at its end."""
    base = _parts(url)[0].rstrip("/")
    start = base.index("://") + 3
    above = posixpath.dirname(base[start:])
    return base[:start] + (above or base[start:])


def is_below(url: str, folder: str) -> bool:
    """Whether a URL is that of a folder, or of something in it."""
    kind, bucket, key = split(folder)
    above = f"{key}/" if key else ""
    found = split(url)
    return found[:2] == (kind, bucket) and f"{found[2]}/".startswith(above)


def name(url: str) -> str:
    """Return the last part of the key; '' for a bucket."""
    base = _parts(url)[0].rstrip("/")
    return base[base.index("://") + 3 :].rpartition("/")[2] if "/" in base.split("://")[1] else ""


def redacted(place: str) -> str:
    """Return a URL without user, password, query and fragment, for messages; a path as it is."""
    if scheme(place) is None:
        return place
    return source_name(place) + ("?..." if _parts(place)[1] else "")


def has_secret(place: str) -> bool:
    """Whether a text is a URL with a user, a password, a query or a fragment."""
    return place != source_name(place)


def _user(rest: str) -> str:
    """Return user and password with their '@', at the beginning of what follows '://'.

    A secret key of AWS may contain '/', so more than the first segment may belong to it.
    """
    first = rest.partition("/")[0]
    if "@" in first:
        return rest[: first.rindex("@") + 1]
    if ":" not in first or _PORT.fullmatch(first):
        return ""
    return rest[: rest.rindex("@") + 1] if "@" in rest else rest


def source_name(place: str) -> str:
    """Return the form of a URL that is recorded: as `redacted`, but nothing stands for a query."""
    if scheme(place) is None:
        return place
    base = _parts(place)[0]
    start = base.index("://") + 3
    user = _user(base[start:])
    return base[:start] + (base[start + len(user) :] or ("..." if user else ""))
