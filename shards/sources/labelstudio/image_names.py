"""Finds the image of a Label Studio task, which is named by a path or URL of Label Studio.

Source of the forms: https://labelstud.io/guide/storage.html#Local-storage for
`/data/local-files/?d=`; https://labelstud.io/guide/tasks.html for URLs and for uploads,
`/data/upload/PROJECT/8 hex digits-NAME`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from shards.errors import SourceError
from shards.paths import is_image, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from shards.sources.finder import Finder

_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_UPLOADED: Final = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio writes before the name of an uploaded file."""
_MOST_FOLDERS: Final = 32
_SAMPLE: Final = 100
"""Tasks looked at to find the field that names the image."""
_USUAL: Final = "image"


class TaskImages:
    """Finds the images of tasks below a root.

    Args:
        file: the export, for messages.
        finder: finds them below the root, and records those missing.
    """

    def __init__(self, file: Path, finder: Finder) -> None:
        self._file = file
        self._finder = finder
        self._texts: dict[str, tuple[str, str]] = {}

    def find(self, text: str, where: str) -> str:
        """The path of an image, in the form of `Sample.path`, whether it exists or not.

        The longest end of the path or URL that is a file below the root is taken; for uploads
        also without the digits before the name.

        Raises:
            SourceError: the image is inside of the export, or two names match one file.
        """
        if text.startswith("data:"):
            raise SourceError(
                f"{self._file}, {where}: the image is in the export itself. Save it as a file and "
                "name the file."
            )
        try:
            candidates = list(_candidates(text))
        except ValueError:  # not a URL
            candidates = []
        chosen = next(filter(self._finder.has, candidates), None)
        path = self._finder.find(chosen or (candidates or [text])[-1], where)
        first, at = self._texts.setdefault(path, (text, where))
        if first != text:
            raise SourceError(
                f"{self._file}, {where}: {text!r} and {first!r} ({at}) both match {path!r}. Keep "
                "the folders that tell them apart."
            )
        return path


def _candidates(text: str) -> Iterator[str]:
    """Paths below the root that a name may mean, best first."""
    path, is_local = _path(text.strip())
    if is_local:
        yield text
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    ends = ["/".join(parts[at:]) for at in range(len(parts))][-_MOST_FOLDERS:]
    yield from ends
    if parts:
        yield f"images/{parts[-1]}"
        if plain := _UPLOADED.sub("", parts[-1], count=1):
            yield from (f"images/{plain}", plain)


def _path(text: str) -> tuple[str, bool]:
    """The path in a name, and whether the name itself may be one of a file."""
    scheme = text.partition("://")[0].casefold() if _URL.match(text) else ""
    if scheme == "file" or not (scheme or text.startswith("/data/")):
        return text, True
    if scheme not in ("", "http", "https"):  # in the key of a bucket, ? # and % are letters
        return text.partition("://")[2].partition("/")[2], False
    begin, _, query = text.partition("?")
    if begin.rstrip("/").endswith("/local-files"):
        for field in query.split("&"):
            if field.startswith("d="):
                return unquote(field[2:]), False
    return unquote(urlsplit(text).path if scheme else text), False


def image_field(records: Sequence[Mapping[str, Any]], file: Path) -> str:
    """The field that names the images: 'image', or the only one with names of images.

    Args:
        records: the data of each task.
        file: the export, for messages.

    Raises:
        SourceError: no field or several of them could be it.
    """
    if any(_USUAL in record for record in records):
        return _USUAL
    few = records[:_SAMPLE]
    keys = dict.fromkeys(key for record in few for key in record)
    found = [key for key in keys if all(_names_image(r.get(key)) for r in few if r.get(key))]
    if len(found) == 1:
        return found[0]
    named = ", ".join(shown(key) for key in (found or keys)) or "none"
    what = "several fields name images" if found else "no field names an image"
    raise SourceError(f"{file}: {what} ({named}). Call the one to use 'image' in the export.")


def _names_image(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        path, _ = _path(value)
    except ValueError:  # not a URL
        return False
    return is_image(path.rpartition("/")[2])
