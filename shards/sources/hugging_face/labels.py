"""Reads the class names of the rows of some files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shards.errors import SourceError
from shards.paths import first_names
from shards.sources.hugging_face.choice import Choice
from shards.sources.hugging_face.kinds import Kind, kind_of_column
from shards.sources.hugging_face.names import Names
from shards.sources.table.cells import bad_name, quoted, truth

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shards.sources.hugging_face.rows import Rows


@dataclass(frozen=True)
class Labels:
    """The class names of every row.

    Attributes:
        rows: for each file, the class names of each row, sorted; None: not labeled.
        classes: the vocabulary that the files declare, in order, or None.
        notes: lines on the columns.
    """

    rows: Sequence[Sequence[tuple[str, ...] | None]]
    classes: tuple[str, ...] | None
    notes: tuple[str, ...]


def read_labels(
    files: Sequence[Rows], *, columns: Sequence[str] = (), separator: str | None = None
) -> Labels:
    """Read the labels of a set.

    Args:
        files: rows of one or more files with the same columns.
        columns: the columns of labels, as the user names them; () finds them: the one with class
            names in the schema, else the one named like labels, else all truth values.
        separator: separator of the names in text; None detects it.

    Raises:
        SourceError: there is no column of labels, or it is unclear which; files disagree; a value
            is not a label. Names file and row.
    """
    chosen = Choice(files).choose(columns)
    kinds = {name: kind_of_column(files, name) for name in chosen}
    if all(kind is Kind.TRUTH for kind in kinds.values()):
        return Labels(
            [_read_truths(one, chosen) for one in files],
            tuple(chosen),
            tuple(_notes(files, chosen, kinds)),
        )
    if len(chosen) > 1:
        odd = next(name for name in chosen if kinds[name] is not Kind.TRUTH)
        raise SourceError(
            f"{files[0].file}: of several columns of labels each is a class, with 1 or 0, but "
            f"{odd!r} has {kinds[odd].value}. Name one column, or only such ones."
        )
    reader = Names(files, chosen[0], kinds[chosen[0]], separator)
    rows = [reader.read(one) for one in files]
    return Labels(rows, reader.classes, tuple(_notes(files, chosen, kinds)))


def _notes(files: Sequence[Rows], chosen: Sequence[str], kinds: dict[str, Kind]) -> Iterator[str]:
    others = [name for name in files[0].columns if name not in chosen]
    ignored = f"; ignored: {first_names(others)}" if others else ""
    if all(kind is Kind.TRUTH for kind in kinds.values()):
        yield f"classes are the columns {first_names(chosen)}{ignored}"
    else:
        yield f"labels are in {chosen[0]!r}{ignored}"
        if kinds[chosen[0]] in (Kind.NUMBER, Kind.NUMBERS) and chosen[0] not in files[0].names:
            yield f"{chosen[0]!r} has numbers without names: the numbers are the classes' names"


def _read_truths(rows: Rows, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The names of the columns that are true in each row."""
    for name in columns:
        if why := bad_name(name):
            raise SourceError(f"{rows.file}: column {quoted(name)} {why}")
    found: list[tuple[str, ...]] = []
    for row in range(len(rows.where)):
        for name in columns:
            if rows.columns[name][row] is None:
                raise SourceError(
                    f"{rows.place(row)}, column {name!r}: no value. Write 1 or 0 (true or false)."
                )
        found.append(tuple(sorted(n for n in columns if _is_true(rows.columns[n][row]))))
    return found


def _is_true(value: Any) -> bool:
    return truth(value) == 1 if isinstance(value, str) else bool(value)
