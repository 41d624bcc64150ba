"""Finds the images and annotations of a folder in PASCAL VOC format.

Tried in this order: JPEGImages/ and Annotations/ (or images/ and annotations/, in any case); the
VOC20xx folders of a devkit; train/, valid/ and test/, each with such a pair; and annotations in
the same folders as their images, as written by Roboflow and labelImg.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import SourceError
from shards.paths import is_image, shown
from shards.sources.folders import files_below, folders_in
from shards.split_names import known_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

YEAR: Final = re.compile(r"VOC20\d\d")
"""Name of a folder of a devkit."""
_IMAGES: Final = ("jpegimages", "images", "imgs", "img")
_ANNOTATIONS: Final = ("annotations", "annotation", "xmls", "xml")
_OWN_NAMES: Final = ("JPEGImages", "Annotations")
_ARCHIVES: Final = (".zip", ".tgz", ".tar.gz", ".7z", ".rar")


class Place(NamedTuple):
    """A pair of folders with images and their annotations.

    Attributes:
        images: the folder of the images, relative to the root, with a final '/'; '' is the root.
        annotations: the same for the annotations; equal to `images` if they share folders.
        lists: the same for ImageSets/, which may not exist.
        split: the split given by the folder name, or None.
    """

    images: str
    annotations: str
    lists: str
    split: str | None = None


class Layout(NamedTuple):
    """What was found in a root.

    Attributes:
        places: at least one.
        devkit: whether folders have VOC's own names.
        notes: lines on what was ignored.
    """

    places: Sequence[Place]
    devkit: bool
    notes: Sequence[str] = ()


def find_layout(root: Path) -> Layout:
    """Find the images and the annotations.

    Raises:
        SourceError: the layout is not supported; says what was found instead.
    """
    folders = folders_in(root)
    pair = _pair(root, "", folders)
    if pair is not None:
        own = (pair.images, pair.annotations) == tuple(f"{name}/" for name in _OWN_NAMES)
        return Layout([pair], devkit=own, notes=_stray_lists(root))
    years = [name for name in folders if YEAR.fullmatch(name)]
    if years:
        return _devkit(root, years, [name for name in folders if name not in years])
    named = [name for name in folders if known_split(name)]
    splits = [p for name in named if (p := _pair(root, f"{name}/", None, known_split(name)))]
    if splits:
        return _split_folders(root, splits, folders)
    if _beside(files_below(root)):
        return Layout([Place("", "", "ImageSets/")], devkit=False)
    raise SourceError(_unknown(root, folders))


def _pair(
    root: Path, prefix: str, folders: Sequence[str] | None, split: str | None = None
) -> Place | None:
    """The two folders below `prefix`, if both exist."""
    folders = folders_in(root / prefix) if folders is None else folders
    images, annotations = _called(folders, _IMAGES), _called(folders, _ANNOTATIONS)
    if images is None or annotations is None:
        return None
    if (images, annotations) != _OWN_NAMES:
        files = files_below(root / prefix / annotations)
        if not any(map(is_xml, files)):
            return None  # COCO's annotations/ holds JSON
        annotations = _deeper(root, prefix, annotations, files)
    return Place(f"{prefix}{images}/", f"{prefix}{annotations}/", f"{prefix}ImageSets/", split)


def _called(folders: Iterable[str], names: Sequence[str]) -> str | None:
    """The folder with the first of these names; VOC's own capitalization is preferred."""
    ranked = [
        (names.index(folder.lower()), folder not in _OWN_NAMES, folder)
        for folder in folders
        if folder.lower() in names
    ]
    return min(ranked)[2] if ranked else None


def _deeper(root: Path, prefix: str, annotations: str, files: Sequence[str]) -> str:
    """The annotation folder, or xmls/ in it if it has no annotations itself (Oxford pets)."""
    inner = _called(folders_in(root / prefix / annotations), _ANNOTATIONS)
    if inner is None or any(is_xml(name) and "/" not in name for name in files):
        return annotations
    return f"{annotations}/{inner}"


def is_xml(name: str) -> bool:
    """Whether a file is an annotation by its name."""
    return name.lower().endswith(".xml")


def _stray_lists(root: Path) -> list[str]:
    """A line on lists in a place where they are not read."""
    lists = sorted(shown(file.name) for file in root.glob("*.txt") if known_split(file.stem))
    if not lists:
        return []
    return [f"ignored: {', '.join(lists)}; lists are read from ImageSets/Main/"]


def _devkit(root: Path, years: Sequence[str], others: Sequence[str]) -> Layout:
    places = []
    for name in years:
        place = _pair(root, f"{name}/", None)
        if place is None:
            raise SourceError(
                f"{root / name}: lacks JPEGImages/ or Annotations/. Complete it, move it away, or "
                "give only one of the other years."
            )
        places.append(place)
    return Layout(places, devkit=True, notes=_left_aside(root, others))


def _split_folders(root: Path, places: Sequence[Place], folders: Sequence[str]) -> Layout:
    taken = {place.images.partition("/")[0] for place in places}
    return Layout(
        places,
        devkit=False,
        notes=_left_aside(root, [name for name in folders if name not in taken]),
    )


def _left_aside(root: Path, folders: Sequence[str]) -> list[str]:
    """A line per folder that also has annotated images but is not read."""
    return [
        f"{shown(name)}/ is ignored: it has annotated images, but the set is in the folders "
        "beside it. To pack it, give that folder alone."
        for name in folders
        if _pair(root, f"{name}/", None) or _beside(files_below(root / name))
    ]


def _beside(files: Sequence[str]) -> bool:
    """Whether any folder has an image and an annotation with the same stem."""
    stems = {name.rpartition(".")[0] for name in files if is_xml(name)}
    return any(
        is_image(name.rpartition("/")[2]) and name.rpartition(".")[0] in stems for name in files
    )


def _unknown(root: Path, folders: Sequence[str]) -> str:
    """The message for a folder with none of the layouts."""
    below = [name for name in folders if _pair(root, f"{name}/", None) or _has_years(root / name)]
    if below:
        paths = " or ".join(str(root / name) for name in below[:3])
        return f"{root}: the annotated images are one folder deeper. Give {paths}."
    start = f"{root}: no JPEGImages/ and Annotations/, no VOC20xx folders, no .xml beside images"
    return f"{start}{_instead(root, folders)}"


def _has_years(folder: Path) -> bool:
    return any(YEAR.fullmatch(name) for name in folders_in(folder))


def _instead(root: Path, folders: Sequence[str]) -> str:
    """What is there instead that could hold labels, and what to do."""
    files = files_below(root)
    if any(name.lower().endswith(".arrow") for name in files):
        return (
            ". There are Arrow files, as 'save_to_disk' writes them: write Parquet ('to_parquet') "
            "instead."
        )
    yolo = any(name.lower() == "labels" for name in folders)
    if yolo and "classes.txt" in files:
        return (
            ". There are labels/ and classes.txt, as in a YOLO set: write a data.yaml with "
            "'train: images' and, under 'names:', the lines of classes.txt in their order."
        )
    for ends, kind, option in (
        ((".json",), "if it is COCO, use", "coco"),
        ((".csv", ".tsv"), "use", "labels"),
    ):
        found = next((name for name in files if name.lower().endswith(ends)), None)
        if found is not None:
            given = [str(root / found)] if option == "coco" else str(root / found)
            return f". There is {shown(found)}: {kind} `{option}={given!r}`."
    if yolo:
        return (
            ". There is labels/: YOLO's labels also need a data.yaml with 'names' and 'train'. See "
            "https://docs.ultralytics.com/datasets/detect/"
        )
    archive = next((name for name in files if name.lower().endswith(_ARCHIVES)), None)
    if archive is not None and not any(is_image(name.rpartition("/")[2]) for name in files):
        return f". There is {shown(archive)}: unpack it."
    return (
        ". For another layout, give the labels: `labels='FILE.csv'` or `coco=['FILE.json']`; or "
        "name the source: `from_` (folders, hf, ...)."
    )
