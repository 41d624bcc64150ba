"""`images.csv` of a run: every image that it was trained and validated on, by path and content.

Columns `used_for,path,sha256`; `used_for` is 'training' or 'validation', `path` the original one
and `sha256` that of the bytes as packed. It tells whether the model has seen an image, wherever
the shards are and however the images have been packed since.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shards.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

IMAGES: Final = "images.csv"
_COLUMNS: Final = ["used_for", "path", "sha256"]
_TRAINING, _VALIDATION = "training", "validation"


@dataclass(frozen=True, slots=True)
class UsedImages:
    """The images of a run: original path -> sha256 of the bytes as packed, hexadecimal.

    Attributes:
        train: those that it was trained on.
        val: those that it was validated on.
    """

    train: Mapping[str, str]
    val: Mapping[str, str]

    def to_csv(self) -> bytes:
        """The bytes of `images.csv`: training, then validation, in the order of the shards."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for use, images in ((_TRAINING, self.train), (_VALIDATION, self.val)):
            writer.writerows((use, path, sha256) for path, sha256 in images.items())
        return _encoded(text.getvalue())


def read_images(run: Path) -> UsedImages | None:
    """Read `images.csv` of a run; None if it is missing (older runs) or damaged."""
    try:
        text = read_regular(run / IMAGES).decode("utf-8", "surrogatepass")
    except (OSError, UnicodeDecodeError):
        return None
    used: dict[str, dict[str, str]] = {_TRAINING: {}, _VALIDATION: {}}
    try:
        rows = csv.reader(io.StringIO(text, newline=""))
        if next(rows, None) != _COLUMNS:
            return None
        for use, path, sha256 in rows:
            used[use][path] = sha256
    except (csv.Error, ValueError, KeyError):
        return None
    return UsedImages(used[_TRAINING], used[_VALIDATION])


def paths_hash(paths: Iterable[str]) -> str:
    """sha256 over the sorted paths, hexadecimal: equal for equal sets of images, in any shards."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(_encoded(f"{path}\0"))
    return digest.hexdigest()


def _encoded(text: str) -> bytes:
    """UTF-8, with lone surrogates for the bytes of names in other encodings."""
    return text.encode("utf-8", "surrogatepass")
