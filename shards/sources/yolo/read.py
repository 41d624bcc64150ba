"""Reads an Ultralytics YOLO data set; its boxes and polygons become presence of their class."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from shards.errors import Fault, Reason, SourceError
from shards.files import open_binary
from shards.paths import first_names, shown
from shards.sample import AnnotatedSet, Rejection, Sample
from shards.sources.words import counted
from shards.sources.yolo.config import is_config, read_config
from shards.sources.yolo.labels import BadLabelsError, UnknownClassError, parse_labels
from shards.sources.yolo.places import images_of, label_path, stray_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from shards.sources.yolo.config import YoloConfig
    from shards.sources.yolo.places import Images

DATA: Final = "data.yaml"
_LARGEST_FILE: Final = 64 << 20
"""Maximum bytes of a label file."""


def find_configs(root: Path) -> list[Path]:
    """The files in a folder that describe a YOLO data set, sorted; of several, 'data.yaml'."""
    try:
        files = sorted(file for file in root.iterdir() if file.suffix in (".yaml", ".yml"))
    except OSError:
        return []
    found = [file for file in files if file.is_file() and is_config(file)]
    return [file for file in found if file.stem == "data"] or found


def read_yolo(root: Path, file: Path | None = None) -> AnnotatedSet:
    """Read a data set as Ultralytics trains on it.

    A class is present in an image with at least one object of it. An image whose label file is
    empty or missing is background: a sample without labels.

    Args:
        root: the folder that contains all images.
        file: the data.yaml; by default the one in `root`.

    Returns:
        The set; `classes` are the names, in order; `splits` those of the data.yaml. Rejected: an
        image that a list names and that does not exist (MISSING), and one whose label file
        cannot be used (BAD_ANNOTATION).

    Raises:
        SourceError: no data.yaml, or as for `read_config` and `images_of`; a class index
            without a name, with file and line; no image has a label file.
    """
    config = read_config(file or only_config(root))
    splits = images_of(root, config)
    reader = _Reader(root, config)
    for path in sorted({path for images in splits.values() for path in images.paths}):
        reader.read(path)
    reader.refuse_unlabeled()
    missing = {bad.path: bad for images in splits.values() for bad in images.rejected}
    rejected = {**missing, **{bad.path: bad for bad in reader.rejected}}
    return AnnotatedSet(
        root=root,
        samples=tuple(reader.samples),
        splits={
            split: frozenset(images.paths) - rejected.keys() for split, images in splits.items()
        },
        rejected=tuple(rejected[path] for path in sorted(rejected)),
        classes=config.names,
        notes=(*(n for images in splits.values() for n in images.notes), *reader.notes(splits)),
    )


def only_config(root: Path) -> Path:
    """The file in a folder that describes the data set, or should.

    Raises:
        SourceError: there is none, or there are several.
    """
    found = find_configs(root)
    if len(found) == 1:
        return found[0]
    if not found and (plain := root / DATA).exists():
        return plain  # its error says what is wrong
    if found:
        names = first_names([file.name for file in found])
        raise SourceError(
            f"{root}: several data sets: {names}. Rename the one to pack to data.yaml."
        )
    if (root / "classes.txt").is_file():
        raise SourceError(
            f"{root}: no data.yaml. Write one with 'train: images' and, under 'names:', the lines "
            "of classes.txt in their order."
        )
    raise SourceError(
        f"{root}: no data.yaml with 'names' and 'train' or 'val'. See "
        "https://docs.ultralytics.com/datasets/detect/"
    )


def _read_bytes(file: Path) -> bytes:
    with open_binary(file) as opened:
        data = opened.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise OSError(errno.EFBIG, "larger than 64 MiB")
    return data


class _Reader:
    """Reads the label files of images.

    Attributes:
        samples: the images with labels or without, in the order read.
        rejected: those whose label file cannot be used.
    """

    def __init__(self, root: Path, config: YoloConfig) -> None:
        self.samples: list[Sample] = []
        self.rejected: list[Rejection] = []
        self._root = root
        self._config = config
        self._absent: list[str] = []
        self._empty = 0
        self._used: set[str] = set()

    def read(self, path: str) -> None:
        """Read the labels of one image.

        Raises:
            SourceError: a class index has no name.
        """
        name = label_path(path)
        self._used.add(name)
        try:
            data = _read_bytes(self._root / name)
            indices = parse_labels(data, len(self._config.names), keypoints=self._config.keypoints)
        except FileNotFoundError:
            self._absent.append(name)
            indices = set()
        except OSError as error:
            self._reject(path, f"{shown(name)}: cannot be read: {error.strerror}")
            return
        except BadLabelsError as error:
            self._reject(path, f"{shown(name)}, {error}")
            return
        except UnknownClassError as error:
            last = len(self._config.names) - 1
            raise SourceError(
                f"{self._root / name}, {error}, but {self._config.file.name} names classes 0 to "
                f"{last}. Correct one of them."
            ) from None
        else:
            self._empty += not indices
        names = sorted(self._config.names[index] for index in indices)
        self.samples.append(Sample(path, tuple(names)))

    def _reject(self, path: str, why: str) -> None:
        self.rejected.append(Rejection(path, Fault(Reason.BAD_ANNOTATION, why)))

    def refuse_unlabeled(self) -> None:
        """Refuse a set in which no image has a label file.

        Raises:
            SourceError: says where the first one should be.
        """
        if self._absent and len(self._absent) == len(self.samples) and not self.rejected:
            raise SourceError(
                f"{self._config.file}: none of {counted(len(self._absent), 'image')} has a label "
                f"file; the first should be {self._root / self._absent[0]}. Put them there."
            )

    def notes(self, splits: Mapping[str, Images]) -> Iterator[str]:
        """Lines on images without labels and labels without images."""
        name = self._config.file.name
        if self._absent or self._empty:
            yield (
                f"{name}: background: {counted(len(self._absent), 'image')} without a label file, "
                f"{self._empty} with an empty one; they are samples without labels"
            )
        folders = [folder for images in splits.values() for folder in images.folders]
        if stray := stray_labels(self._root, folders, self._used):
            yield (
                f"{name}: {counted(len(stray), 'label file')} without an image, ignored: "
                f"{first_names(stray)}"
            )
