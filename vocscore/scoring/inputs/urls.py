"""Distinguishes URLs from paths and refuses them, with advice what to do instead."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, Final

from shards.remote import places
from vocscore.errors import ScoreError

if TYPE_CHECKING:
    from pathlib import Path

_OBJECT_STORES: Final = {
    **dict.fromkeys(("s3", "s3a", "s3n", "r2"), "aws s3 cp --recursive"),
    **dict.fromkeys(("gs", "gcs"), "gcloud storage cp --recursive"),
    **dict.fromkeys(("az", "abfs", "abfss", "wasb", "wasbs", "adl"), "azcopy copy --recursive"),
    **dict.fromkeys(("oss", "cos", "swift", "b2", "obs"), "rclone copy"),
    **dict.fromkeys(("hdfs", "dbfs"), "hdfs dfs -get"),
    "hf": "hf download",
}
_OTHERS: Final = frozenset({"http", "https", "ftp", "ftps", "sftp", "scp", "ssh", "smb", "data"})
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def scheme_of(text: str) -> str | None:
    """Return the scheme of a URL in lower case, such as 's3'; None for a path.

    Args:
        text: as typed. If it went through `Path`, which drops one slash of a URL, only known
            schemes are recognized.
    """
    match = _SCHEME.match(text)
    if match is None:
        return None
    scheme = match[1].lower()
    known = scheme in _OBJECT_STORES or scheme in _OTHERS or scheme == "file"
    return scheme if known or _URL.match(text) else None


def refusal_of_url(text: str) -> str | None:
    """Return why a URL is not read, and what to do instead; None for a path."""
    scheme = scheme_of(text)
    if scheme is None:
        return None
    if scheme == "file":
        return "a URL, but only paths are accepted. Give the path after 'file://'"
    fetch = _OBJECT_STORES.get(scheme)
    if fetch is None:
        return "a URL, but only files are read. Download it first"
    whole = places.redacted(_whole(text))
    return (
        "object storage is not read directly. Copy it first, or mount it: "
        f"{fetch} {shlex.quote(whole)} FOLDER"
    )


def refuse_url(place: str | Path, *, written: bool = False) -> None:
    """Raise if a place is a URL and not a path.

    Args:
        place: as typed, if possible.
        written: whether it is an output, not an input.

    Raises:
        ScoreError: it is a URL, and there is no path of this name.
    """
    text = os.fspath(place)
    why = refusal_of_url(text)
    if why is None or (not written and os.path.lexists(text)):
        return
    safe = _safe(text)
    if written:
        raise ScoreError(
            f"{safe}: a URL, but only files are written. Name a local file, and copy it afterwards."
        )
    raise ScoreError(f"{safe}: {refusal_of_url(safe)}.")


def _safe(text: str) -> str:
    """Return a URL as it was typed; without what may be secret, if there is some."""
    whole = _whole(text)
    return places.redacted(whole) if places.has_secret(whole) else text


def _whole(text: str) -> str:
    """Return a URL with the slash that `Path` drops."""
    return re.sub(r":/+", "://", text, count=1)


def refuse_nameless_url(place: str) -> None:
    """Refuse a URL without a bucket or a repository, such as 's3://'.

    Raises:
        ScoreError: it is one.
    """
    if places.is_remote(place):
        try:
            places.split(place)
        except ValueError as error:
            raise ScoreError(f"{places.redacted(place)}: {error}.") from error
