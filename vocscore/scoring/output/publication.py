"""Puts a complete output in its place: written in the work folder, then moved as a whole.

    merged.csv       the parts being joined; of a folder of parts, `rows/` has them
    features.npy     the future file of features
    files.npy        the future stamps of the images, `OUTPUT.files.npy` (`vocscore.records`)
    record.json      the future record of the output, `OUTPUT.json`
    done.json        plan.json renamed: all of this is complete, and only has to be moved

As soon as `done.json` exists, merged.csv or `rows/` is renamed to the output; an older folder is
moved to `replaced/` first. The stamps and the record are moved after the output, and those of an
older output are removed before the new output appears, so that they never describe other rows than
those beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards import atomic
from vocscore.records.input_stamps import is_stamps, stamps_file
from vocscore.records.score_record import is_record, record_file
from vocscore.scoring.output import features_parts, part_folder
from vocscore.scoring.output.existing import refuse_existing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from vocscore.scoring.output.part_store import Join


class Publication:
    """The last steps of an output on a file system. Every method may raise OSError.

    Args:
        work: the work folder.
        output: the future file or folder.
        suffix: suffix of the parts.
        folder: whether the parts in `rows` are the output, instead of being joined.

    Attributes:
        rows: the folder of parts that becomes the output, if that is a folder.
        plan: the plan of the run.
        done: its name when everything is complete.
    """

    def __init__(self, work: Path, output: Path, *, suffix: str, folder: bool) -> None:
        self.rows = work / "rows"
        self.plan = work / "plan.json"
        self.done = work / "done.json"
        self._work = work
        self._output = output
        self._folder = folder
        self._merged = work / f"merged{suffix}"
        self._files = work / "files.npy"
        self._record = work / "record.json"

    def write(
        self,
        parts: Callable[[], Iterable[Path]],
        write: Join,
        *,
        join_features: Callable[[], None],
        record: Callable[[int], bytes] | None,
        files: bytes | None,
    ) -> None:
        """Write everything, and mark it as complete.

        Args:
            parts: the parts in order; of a folder, they are in `rows`.
            write: writes the output, given the parts; not called for a folder.
            join_features: writes the file of features, if there is one.
            record: returns the record, given the size of the output in bytes; None: no record.
            files: the stamps of the images; None: no stamps.

        Raises:
            ScoreError: another file has appeared in the place of the output.
        """
        if not self._folder:
            with atomic.replacing(self._merged) as file:
                write(file, parts())
        join_features()
        if files is None:
            self._files.unlink(missing_ok=True)
        else:
            atomic.write(self._files, files)
        if record is not None:
            rows = parts() if self._folder else [self._merged]
            atomic.write(self._record, record(sum(file.stat().st_size for file in rows)))
        else:
            self._record.unlink(missing_ok=True)
        # another file may have appeared meanwhile
        refuse_existing(self._output, overwrite=True, folder=self._folder)
        atomic.move(self.plan, self.done)

    def finish(self) -> None:
        """Move the output, its stamps and its record; can be repeated after a crash."""
        beside, stamps = record_file(self._output), stamps_file(self._output)
        if (self.rows if self._folder else self._merged).exists():
            if is_record(beside):
                beside.unlink()
            if is_stamps(stamps):
                stamps.unlink()
        features_parts.place(self._work, self._output, self.done)
        if self._folder:
            part_folder.place(self.rows, self._output, replaced=self._work / "replaced")
        elif self._merged.exists():
            atomic.move(self._merged, self._output)
        if self._files.exists() and (is_stamps(stamps) or not stamps.exists()):
            atomic.move(self._files, stamps)
        if self._record.exists() and (is_record(beside) or not beside.exists()):
            atomic.move(self._record, beside)
