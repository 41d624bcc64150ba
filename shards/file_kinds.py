"""What a file is, by its name, else by its first bytes; and counts of non-image files.

Every file in a folder or tar is an input or is counted by kind: none is skipped silently.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from shards.archives import (
    ARCHIVE_SUFFIXES,
    COMPRESSED_TAR_SUFFIXES,
    STREAM_SUFFIXES,
    archive_of_head,
    archive_of_name,
    is_tar_head,
)
from shards.image_formats import IMAGE_SUFFIXES, SNIFFED_BYTES, format_of_name, sniff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TEXT: Final = (
    "txt text md rst log lst list csv tsv json jsonl ndjson geojson xml xsd dtd html htm css yaml "
    "yml toml ini cfg conf properties sql srt vtt bib tex rtf cls idx lock desktop url lnk xmp aae "
    "md5 sha1 sha256 sha512 pem gpx kml"
)
_CODE: Final = "py pyc pyi ipynb sh bash bat ps1 c h cc cpp hpp cu java jar js ts go rs rb pl lua r"
_DATA: Final = (
    "npy npz mat h5 hdf5 pkl pickle parquet feather arrow avro tfrecord tfrecords rec lmdb mdb db "
    "sqlite sqlite3 dbf shp shx prj pt pth ckpt onnx safetensors tflite pb obj ply stl mtl glb gltf"
)
_OFFICE: Final = "doc docx xls xlsx ppt pptx odt ods odp epub"
_FILMS: Final = "mp4 m4v mov avi mkv webm mpg mpeg wmv flv 3gp mts m2ts vob ogv"
_SOUNDS: Final = "mp3 wav flac aac ogg oga m4a opus wma aif aiff mid midi"
_OTHERS: Final = "exe dll so dylib deb rpm msi apk whl ttf otf woff woff2 torrent"
_KNOWN: Final = frozenset(f"{_TEXT} {_CODE} {_DATA} {_OFFICE} {_FILMS} {_SOUNDS} {_OTHERS}".split())
"""Suffixes of files that are never images: they need not be opened."""

TAR_SUFFIXES: Final = (".tar", *COMPRESSED_TAR_SUFFIXES)
"""File name suffixes of tars, lower case. Compressed ones are included, so that they become rows
with an error and nobody takes them for scored."""
MACOS_FOLDER: Final = "__MACOSX"
"""Folder that macOS adds to archives; it holds metadata of the images, not images."""

_SUFFIX: Final = re.compile(r"\.[0-9a-z_~-]{1,12}", re.ASCII)
_MOST_KINDS: Final = 200
_OTHER_KINDS: Final = "other kinds"


class Nature(Enum):
    """What a file is, in a search for images."""

    IMAGE = auto()
    TAR = auto()
    ARCHIVE = auto()
    """It may hold images, but is not opened."""
    OTHER = auto()


_BY_END: Final = {
    **dict.fromkeys(_KNOWN, Nature.OTHER),
    **{suffix[1:]: Nature.IMAGE for suffix in IMAGE_SUFFIXES},
    "tar": Nature.TAR,
}
_PACKED_ENDS: Final = frozenset(suffix.rpartition(".")[2] for suffix in ARCHIVE_SUFFIXES)


def nature_of(name: str, head: Callable[[], bytes]) -> Nature:
    """What a file is.

    Args:
        name: the file name, without folders.
        head: reads its first `HEAD_BYTES` bytes, or all of a shorter file; called only if the
            name is inconclusive.
    """
    by_name = _nature_of_name(name)
    return _nature_of_head(head()) if by_name is None else by_name


def _nature_of_name(name: str) -> Nature | None:
    """What the name indicates; None if it is inconclusive."""
    stem, dot, end = name.rpartition(".")
    end = end.lower() if dot else ""
    known = _BY_END.get(end)
    if known is not None or end not in _PACKED_ENDS:
        return known
    if name.lower().endswith(TAR_SUFFIXES):
        return Nature.TAR
    if archive_of_name(name) is None:
        return None
    # A compressed table or log holds no images: 'labels.csv.gz'.
    alone = f".{end}" in STREAM_SUFFIXES and suffix_of(stem)
    return Nature.OTHER if alone and format_of_name(stem) is None else Nature.ARCHIVE


def _nature_of_head(head: bytes) -> Nature:
    if sniff(head[:SNIFFED_BYTES]) is not None:
        return Nature.IMAGE
    if is_tar_head(head):
        return Nature.TAR
    return Nature.OTHER if archive_of_head(head) is None else Nature.ARCHIVE


def is_tar(name: str) -> bool:
    """Whether a file is a tar by its name and is not hidden."""
    return name.lower().endswith(TAR_SUFFIXES) and not name.startswith(".")


def suffix_of(name: str) -> str:
    """The suffix of a file name in lower case, with its dot; '' if it has no valid suffix."""
    stem, _, end = name.rpartition(".")
    return _suffix(end) if stem.strip(".") else ""


@lru_cache(maxsize=1024)
def _suffix(end: str) -> str:
    suffix = f".{end.lower()}"
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def is_known_other(name: str) -> bool:
    """Whether a file is certainly not an image, by its name alone."""
    _, dot, end = name.rpartition(".")
    return bool(dot) and end.lower() in _KNOWN


def is_hidden(path: str) -> bool:
    """Whether a path is hidden or is inside a hidden folder or one added by macOS.

    Args:
        path: with '/' between folders; '.' and '..' do not count as hidden.
    """
    if not path.startswith(".") and "/." not in path and MACOS_FOLDER not in path:
        return False
    *folders, name = path.split("/")
    return MACOS_FOLDER in folders or any(
        part.startswith(".") and part not in (".", "..") for part in (*folders, name)
    )


def kind_of(name: str, *, hidden: bool = False) -> str:
    """The kind under which a non-input file is counted: its suffix, and whether it is hidden.

    Args:
        name: the file name, without folders.
        hidden: whether the file or a folder above it is hidden.
    """
    kind = suffix_of(name) or "no suffix"
    return f"hidden {kind}" if hidden else kind


def count(kinds: dict[str, int], kind: str, number: int = 1) -> None:
    """Add to the counts by kind. Suffixes are arbitrary: beyond 200 kinds, the rest share one."""
    if kind not in kinds and len(kinds) >= _MOST_KINDS:
        kind = _OTHER_KINDS
    kinds[kind] = kinds.get(kind, 0) + number


def listed(kinds: Mapping[str, int], *, most: int = 8) -> str:
    """Kinds with their counts, largest first, for a message: '.txt 12, .xml 3'."""
    order = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{kind} {number}" for kind, number in order[:most]]
    if len(order) > most:
        shown.append(f"{_OTHER_KINDS} {sum(number for _, number in order[most:])}")
    return ", ".join(shown)
