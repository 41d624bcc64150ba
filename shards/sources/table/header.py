"""Determines the role of each column of a table: paths, labels, classes, splits, or ignored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.image_formats import format_of_name
from shards.sources.table.cells import quoted, truth
from shards.sources.table.classes import class_columns, strength_columns, truth_columns
from shards.sources.table.columns import first_cell
from shards.sources.table.text import DELIMITERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shards.sources.table.columns import Column
    from shards.sources.table.text import TableText

_PATHS: Final = (
    *("path", "filepath", "imagepath", "imgpath", "filename", "imagefilename", "imagefile"),
    *("file", "imagename", "imgname", "image", "img", "picture", "photo", "fname", "uri", "url"),
    *("paths", "filenames", "files", "images", "name", "imageid", "imgid", "id"),
)
"""Names of the path column, ignoring case, blanks and '_'; in order of preference."""
_SEVERAL: Final = ("labels", "tags", "classes", "categories", "classnames", "labelnames")
_LABELS: Final = (
    *_SEVERAL,
    *("label", "tag", "class", "category", "classname", "labelname", "categoryname", "classlabel"),
)
_SPLITS: Final = ("split", "subset", "partition", "set", "datasplit", "datasetsplit")
SPLIT_NAMES: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Common names of splits, lower case, mapped to the split."""


@dataclass(frozen=True)
class Roles:
    """The role of each column of a table.

    Attributes:
        path: the paths of the images.
        labels: class names, one or several per cell; None if each class has its own column.
        classes: columns of truth values, one per class; ignored if `labels` is not None.
        split: the split of each image, or None.
        strengths: whether the label of a row is present (1) or not (0); only with `labels`.
        ignored: all other columns, except those without name and cells.
    """

    path: Column
    labels: Column | None
    classes: tuple[Column, ...]
    split: Column | None
    strengths: tuple[Column, ...]
    ignored: tuple[Column, ...]

    @property
    def promises_several(self) -> bool:
        """Whether the name of the label column is a plural."""
        return self.labels is not None and (
            self.labels.key in _SEVERAL or self.labels.last_word in _SEVERAL
        )


def is_header(names: Sequence[str]) -> bool:
    """Whether the first line of a table names a path column and at least one other."""
    return len(names) > 1 and any(_key(name) in _PATHS for name in names)


def _key(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


class RoleFinder:
    """Determines the roles of a table's columns; refuses to guess.

    Args:
        text: the table.
        columns: its columns.
        is_image: whether a cell names a file.
    """

    def __init__(
        self, text: TableText, columns: Sequence[Column], *, is_image: Callable[[str], bool]
    ) -> None:
        self._text = text
        self._columns = columns
        self._is_image = is_image
        self._head = f"{text.file}, line {text.header.line}"

    def find(self, *, names_in_cells: bool) -> Roles:
        """Determine the roles.

        Args:
            names_in_cells: whether the user says that there is a label column.

        Raises:
            SourceError: there are no paths or no labels, or a role is ambiguous.
        """
        path = self._path()
        rest = [column for column in self._columns if column is not path]
        split = self._split(rest)
        rest = [column for column in rest if column is not split]
        labels = self._labels(rest, names_in_cells=names_in_cells)
        strengths: tuple[Column, ...] = ()
        if labels is not None:
            rest.remove(labels)
            self._refuse_nameless(rest)
            strengths = strength_columns(self._text, rest)
            rest = [column for column in rest if column not in strengths]
        classes = truth_columns(rest) if labels else class_columns(self._text, rest)
        if labels is None and not classes:
            raise SourceError(self._no_labels(rest))
        ignored = tuple(c for c in rest if c not in classes and (c.name or not c.is_empty))
        return Roles(path, labels, classes, split, strengths, ignored)

    def _path(self) -> Column:
        """The path column: by its name and, if several have such a name, by existing files."""
        named = [c for c in self._columns if c.key in _PATHS]
        named = [c for c in named if not c.is_truths] or named
        best = max(named, key=lambda c: (self._images(c), -_PATHS.index(c.key)), default=None)
        if best is not None and self._images(best):
            return best
        header = self._text.delimiter.join(self._text.header.cells)
        if best is None and any(format_of_name(name) for name in self._text.header.cells):
            raise SourceError(
                f"{self._head}: no header: {quoted(header)} looks like a row. Add a header such "
                "as 'path,labels' above it."
            )
        others = [c for c in self._columns if not c.is_truths and not c.ends_like_labels]
        found = [c for c in others if 2 * self._images(c) > len(c.first)]
        if len(found) == 1 and len(self._columns) > 1:
            return found[0]
        if best is None and len(self._text.header.cells) == 1 and set(header) & set(DELIMITERS):
            raise SourceError(
                f"{self._head}: the whole line is quoted. Remove the quotes around lines."
            )
        if best is None:
            raise SourceError(
                f"{self._head}: no column of image paths in the header {quoted(header)}. Name it "
                "'path' (or 'filename', 'file', 'image'), and the class names 'labels'."
            )
        return best

    def _images(self, column: Column) -> int:
        return sum(map(self._is_image, column.first))

    def _split(self, columns: Sequence[Column]) -> Column | None:
        """The split column: its name and all its cells must fit."""
        named = sorted(
            (c for c in columns if c.key in _SPLITS and not c.is_empty),
            key=lambda c: _SPLITS.index(c.key),
        )
        fitting = [c for c in named if c.counts and all(map(_is_split, c.counts))]
        if named and named[0].key == "split" and named[0] not in fitting:
            bad = first_cell(self._text, named[0], lambda cell: not _is_split(cell))
            raise SourceError(
                f"{bad} is not train, val or test. Correct it, or rename the column to have it "
                "ignored."
            )
        return fitting[0] if fitting else None

    def _labels(self, columns: Sequence[Column], *, names_in_cells: bool) -> Column | None:
        """The label column, which holds class names, if there is one."""
        named = [c for c in columns if c.key in _LABELS]
        named += [c for c in columns if named and c.is_numbered_label]
        if not named:
            named = [c for c in columns if c.ends_like_labels and not c.is_truths]
        truths = [c for c in columns if c.is_truths and not c.never_a_class]
        found = named if names_in_cells else [c for c in named if not c.is_truths or c.is_empty]
        if len(found) > 1 or set(truths) - set(found):
            found = [c for c in found if not c.is_empty]
        if len(found) > 1:
            found = [c for c in found if not c.is_numbers] or found
        if len(found) > 1:
            names = " and ".join(column.label for column in found)
            raise SourceError(
                f"{self._head}: {names} could both be the labels. Keep one, with ';' "
                "between the names of an image, or rename the others."
            )
        if not found and named and not set(truths) - set(named):
            raise SourceError(
                f"{self._head}: column {named[0].label} holds only truth values such as "
                f"{next(filter(None, named[0].counts or ()), '')!r}. Name it after its class, or "
                "write class names in it."
            )
        return found[0] if found else None

    def _refuse_nameless(self, columns: Sequence[Column]) -> None:
        """Refuse unnamed columns with text: class names split by unquoted commas."""
        for column in columns:
            if not column.name and column.at and column.has_text:
                raise SourceError(
                    f"{self._head}: column {column.at + 1} has text but no name. Name or remove "
                    "it; if it has more class names, write all in one cell, separated by ';'."
                )

    def _no_labels(self, columns: Sequence[Column]) -> str:
        """The message for a table without a label column."""
        text = f"{self._head}: no column of labels"
        for column in columns:
            if not column.never_a_class:
                bad = first_cell(self._text, column, lambda cell: truth(cell) is None)
                where = bad.removeprefix(f"{self._text.file}, ")
                text += f" ({where} is neither 1 nor 0)"
                break
        return f"{text}. Name the one with class names 'labels', or give each class a 0/1 column."


def _is_split(cell: str) -> bool:
    return not cell or cell.casefold() in SPLIT_NAMES
