"""Chooses the format of an output: by its suffix, or by --format for a folder of parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from vocscore.errors import ScoreError
from vocscore.records.top_k_columns import KEY as TOP_K
from vocscore.records.top_k_columns import count_pairs
from vocscore.scoring.formats.csv_format import CsvFormat
from vocscore.scoring.formats.jsonl_format import JsonlFormat
from vocscore.scoring.formats.parquet_format import ParquetFormat, require_pyarrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from vocscore.scoring.formats.selection import Selection
    from vocscore.scoring.output.rows import Rows

FIXED_COLUMNS = {
    "csv": ("path", "status", "error", "labels"),
    "parquet": ("path", "status", "error", "labels", "path_bytes"),
}
"""Column names that no class may have."""
NAMES = ("csv", "parquet", "jsonl")


class RowsFormat(Protocol):
    """Writes scored images."""

    suffix: str
    classes: tuple[str, ...]

    def write(self, file: BinaryIO, rows: Rows) -> None:
        """Write the part of one unit."""

    def merge(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        """Write the output, given the parts in order."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A format, and whether its parts are joined to a file or kept in a folder.

    Attributes:
        name: one of `NAMES`.
        folder: whether parts are kept; then each can be read by itself.
    """

    name: str
    folder: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"format": self.name, "folder": self.folder}

    def described(self, selection: Selection, classes: Sequence[str]) -> dict[str, Any]:
        """Return plain values that determine what a row looks like.

        Args:
            selection: what is written per image.
            classes: of the model.
        """
        pairs = self.pairs(selection, classes)
        return {**self.to_json(), **selection.to_json(), **({TOP_K: pairs} if pairs else {})}

    def pairs(self, selection: Selection, classes: Sequence[str]) -> int:
        """Return the number of pairs of columns `label_1,probability_1,...`; 0 if there are none.

        Args:
            selection: what is written per image.
            classes: of the model.
        """
        return min(selection.top_k or 0, len(classes)) if self.name == "csv" else 0

    def open(
        self,
        classes: Sequence[str],
        threshold: float | Sequence[float],
        *,
        selection: Selection,
        origin: Mapping[str, Any],
        activation: str = "sigmoid",
    ) -> RowsFormat:
        """Make the writer.

        Args:
            classes: in the order of the columns of probabilities.
            threshold: a class is a label at or above this probability; one number, or one per
                class.
            selection: what is written per image.
            origin: plain values that describe the source of the rows, for formats with metadata.
            activation: of the probabilities, as for `decide`.

        Raises:
            ScoreError: this format cannot be written, or not with these class names.
        """
        pairs = self.pairs(selection, classes)
        taken = [name for name in classes if name in FIXED_COLUMNS.get(self.name, ())]
        if self.name == "csv" and count_pairs(classes):
            taken = [*classes]  # a reader would take them for those of --top-k
        if taken and selection.probabilities and not pairs:
            raise ScoreError(
                f"the class {taken[0]!r} has the name of another column in {self.name}. Write "
                ".jsonl, where classes are separate."
            )
        if self.name == "parquet":
            return ParquetFormat(
                classes, threshold, selection=selection, origin=origin, activation=activation
            )
        if self.name == "jsonl":
            return JsonlFormat(classes, threshold, selection=selection, activation=activation)
        return CsvFormat(
            classes, threshold, selection=selection, activation=activation, alone=self.folder
        )


def choose(output: Path, *, folder_format: str | None) -> Choice:
    """Choose by the suffix of the output, or use the format given for a folder.

    Args:
        output: a file, or with `folder_format` a folder.
        folder_format: one of `NAMES`, for a folder of parts.

    Raises:
        ScoreError: the name has no known suffix, or has one although a folder is requested; or the
            format needs a library that is not installed.
    """
    by_name = output.suffix.lower().removeprefix(".")
    if folder_format is None and by_name not in NAMES:
        raise ScoreError(
            f"{output}: the format is not clear from the name. Name a file that ends in "
            f"{', '.join(f'.{name}' for name in NAMES)} with `output`, or give `format` for a "
            "folder."
        )
    if folder_format is not None and (by_name in NAMES or output.name in {"", ".."}):
        raise ScoreError(
            f"{output}: `format` writes a folder of parts. Name a new folder with `output`, or "
            "omit `format` to write one file."
        )
    choice = Choice(folder_format or by_name, folder=folder_format is not None)
    if choice.name == "parquet":
        require_pyarrow()
    return choice


def choose_stream(name: str | None) -> Choice:
    """Choose the format of rows that go to a stream.

    Args:
        name: one of `NAMES`; None: CSV.

    Raises:
        ScoreError: it cannot be written row by row.
    """
    if name == "parquet":
        raise ScoreError(
            "Parquet cannot be written to standard output. Name a file that ends in .parquet with "
            "`output`, or use `format='csv'` or `format='jsonl'`."
        )
    return Choice(name or "csv", folder=False)
