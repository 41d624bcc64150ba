"""Chooses the columns of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from shards.errors import SourceError
from shards.paths import first_names
from shards.sources.hugging_face.kinds import Kind, kind_of_column
from shards.sources.table.cells import quoted, truth
from shards.sources.table.columns import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shards.sources.hugging_face.rows import Rows

SEVERAL: Final = ("labels", "classes", "categories", "tags")
"""Names of columns, as `key` has them, that promise several class names."""
_LABELS: Final = (
    *SEVERAL,
    *("label", "class", "category", "tag", "classname", "labelname"),
    *("objectscategory", "objectscategories"),
)


class Choice:
    """Chooses the columns of labels among those of some files.

    Args:
        files: their rows.

    Raises:
        SourceError: the files have different columns.
    """

    def __init__(self, files: Sequence[Rows]) -> None:
        self._files = files
        self._columns = list(files[0].columns)
        for one in files[1:]:
            if odd := set(one.columns) ^ set(self._columns):
                raise SourceError(
                    f"{one.file}: other columns than {files[0].file}: {min(odd)!r} is only in one "
                    "of them. Give files with the same columns."
                )

    def choose(self, given: Sequence[str]) -> list[str]:
        """The columns, in order.

        Raises:
            SourceError: there is none, several could be the labels, or a given one is not there.
        """
        if given:
            for name in given:
                if name not in self._columns:
                    raise SourceError(
                        f"{self._files[0].file}: no column {name!r} (`label_column`); there are "
                        f"{first_names(self._columns, most=20)}."
                    )
            return list(dict.fromkeys(given))
        named = [name for name in self._columns if name in self._files[0].names]
        like = [name for name in self._columns if key(name) in _LABELS]
        for found in ([one for one in named if one in like], named, self._with_names(like)):
            if len(found) == 1:
                return found
            if found:
                self._refuse(f"{first_names(found)} could all be the labels")
        truths = [n for n in self._columns if self._is_class(n)]
        if not truths and like:
            return like[:1]  # its reader says what is wrong with the values
        if not truths:
            self._refuse("no column of labels")
        self._refuse_mostly_truths(truths)
        return truths

    def _with_names(self, columns: Sequence[str]) -> list[str]:
        kinds = {name: kind_of_column(self._files, name) for name in columns}
        return [n for n, kind in kinds.items() if kind not in (Kind.TRUTH, Kind.OTHER)]

    def _is_class(self, name: str) -> bool:
        if kind_of_column(self._files, name) is not Kind.TRUTH or Column(0, name).never_a_class:
            return False
        if key(name) in _LABELS:
            self._refuse(f"column {name!r} has only 1 and 0, so its class is unknown")
        return True

    def _refuse_mostly_truths(self, truths: Sequence[str]) -> None:
        """Refuse a column in which most values are 1 and 0: left out, a class would be lost."""
        for name in self._columns:
            if name in truths or Column(0, name).never_a_class:
                continue
            cells = [
                (one, row, value)
                for one in self._files
                for row, value in enumerate(one.columns[name])
                if value is not None and str(value).strip()
            ]
            odd = [cell for cell in cells if truth(str(cell[2])) not in {0, 1}]
            if cells and 2 * len(odd) <= len(cells):
                one, row, value = (odd or cells)[0]
                raise SourceError(
                    f"{one.place(row)}, column {name!r}: {quoted(str(value))} in a column of "
                    "mostly 1 and 0. Write 1 or 0 (true or false), or name the classes: "
                    "`label_column=['NAME']`."
                )

    def _refuse(self, why: str) -> NoReturn:
        raise SourceError(
            f"{self._files[0].file}: {why} (columns: {first_names(self._columns, most=20)}). Name "
            "the column of labels, or each class: `label_column=['NAME']`."
        )


def key(name: str) -> str:
    """A column's name in lower case, letters and digits only."""
    return "".join(filter(str.isalnum, name.casefold()))
