"""Writes rows to a stream, such as a pipe: unit by unit, in their order, and nothing else."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from vocscore.errors import ReaderLeftError, ScoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Self

    from vocscore.scoring.output.rows import Rows
    from vocscore.scoring.output.unit_record import UnitRecord

_COPY_BYTES = 1 << 20


class RowsStream:
    """A `Destination` that cannot be resumed. Use it in a `with` block.

    Rows are written when their unit is finished. A unit that finishes before its predecessors (on
    another device) waits in a file without a name, so memory does not grow.

    Args:
        stream: receives the rows; not closed.
        header: writes what precedes the first row.
    """

    resumable: ClassVar[bool] = False

    def __init__(self, stream: BinaryIO, *, header: Callable[[BinaryIO], None]) -> None:
        self.records: dict[int, UnitRecord] = {}
        self._stream = stream
        self._header: Callable[[BinaryIO], None] | None = header
        self._next = 0
        self._early: dict[int, BinaryIO] = {}
        self._folder: Path | None = None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove temporary files."""
        for file in self._early.values():
            file.close()
        self._held.close()

    def commit(
        self,
        number: int,
        record: UnitRecord,
        write: Callable[[BinaryIO], None],
        *,
        bad_records: bytes = b"",
        stamps: bytes = b"",  # noqa: ARG002 - nothing can be updated
        rows: Rows | None = None,  # noqa: ARG002 - features need a file
    ) -> None:
        """Write the rows of a unit, and of those that waited for it; or let it wait.

        Raises:
            ReaderLeftError: nobody reads the stream any more.
            ScoreError: the stream, or a temporary file, cannot be written.
        """
        if bad_records:
            self._keep(lambda: self.bad_records(number).write_bytes(bad_records))
        self.records[number] = record
        if number != self._next:
            self._early[number] = self._waiting(write)
            return
        self._write(record.rows, write)
        self._next += 1
        while self._next in self._early:
            with self._early.pop(self._next) as waited:
                number_of_rows = self.records[self._next].rows
                self._write(number_of_rows, partial(shutil.copyfileobj, waited, length=_COPY_BYTES))
            self._next += 1

    def bad_records(self, number: int) -> Path:
        """Return the file that lists the bad inputs of a committed unit; missing if it has none."""
        if self._folder is None:
            made = self._held.enter_context(tempfile.TemporaryDirectory(prefix="vocscore-"))
            self._folder = Path(made)
        return self._folder / f"bad-{number:06d}.jsonl"

    def stamps(self, units: int) -> bytes:  # noqa: ARG002 - as in `Destination`
        """Return nothing: the sizes and times of images are not recorded."""
        return b""

    def merge(
        self,
        units: int,
        write: Callable[[BinaryIO, Iterable[Path]], None],  # noqa: ARG002 - as in `Destination`
        *,
        record: Callable[[int], bytes] | None = None,  # noqa: ARG002
        files: bytes | None = None,  # noqa: ARG002
    ) -> None:
        """Check that the rows of all units were written."""
        if self._next != units or self._early:
            raise RuntimeError(f"{units} units, but rows of {self._next} were written")

    def discard(self) -> None:
        """Do nothing: without rows, not even the header was written."""

    def _write(self, rows: int, write: Callable[[BinaryIO], None]) -> None:
        if not rows:
            return
        try:
            if self._header is not None:
                self._header(self._stream)
                self._header = None
            write(self._stream)
            self._stream.flush()
        except BrokenPipeError as error:
            raise ReaderLeftError(
                "standard output: nobody reads it any more. Nothing more was scored."
            ) from error
        except OSError as error:
            raise ScoreError(
                f"standard output: cannot be written: {str(error.strerror).lower()}. The rows are "
                "incomplete; score again."
            ) from error

    def _waiting(self, write: Callable[[BinaryIO], None]) -> BinaryIO:
        """Write rows to a file without a name."""
        file = tempfile.TemporaryFile(prefix="vocscore-")  # noqa: SIM115 - until its turn comes
        self._keep(lambda: write(file))
        self._keep(lambda: file.seek(0))
        return file

    def _keep(self, store: Callable[[], object]) -> None:
        try:
            store()
        except OSError as error:
            raise ScoreError(
                f"{tempfile.gettempdir()}: cannot be written: {str(error.strerror).lower()}. Free "
                "some space, or set TMPDIR to another folder."
            ) from error
