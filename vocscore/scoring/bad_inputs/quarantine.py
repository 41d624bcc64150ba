"""Copies bad inputs to a folder, with a table of the reasons.

    DIR/quarantine.csv   path,reason,detail,copy: every bad input, in the order of the output
    DIR/a/b.jpg          the bytes of a/b.jpg
    DIR/_root/data/x.png the bytes of /data/x.png
    DIR/_other/HASH-NAME an input whose name cannot be kept: it contains '..', collides with a
                         folder, or is not unique (members of a tar may have the same name)

A copy gets its name when it is complete, and an existing one is not copied again, so a killed run
can resume. The bad inputs are read from the ledger, so a quarantine can be requested when a run is
resumed. One on object storage is made in $TMPDIR, and uploaded with the table.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shards import atomic
from shards.files import open_regular, read_regular
from shards.remote import store
from shards.remote.places import is_below, is_remote
from vocscore.errors import ScoreError
from vocscore.scoring.bad_inputs import bad_records, remote_copies
from vocscore.scoring.bad_inputs.copy_bytes import ReadError, is_copy, write_copy
from vocscore.scoring.bad_inputs.places import Places
from vocscore.scoring.output.mirrored import url_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from vocscore.scoring.bad_inputs.bad_records import BadRecord

TABLE = "quarantine.csv"
_MARK = ".vocscore.json"


class Quarantine:
    """The folder of copies.

    Args:
        folder: created if it does not exist.
        run: plain values that identify the inputs; a quarantine of other inputs is refused.

    Raises:
        ScoreError: the folder is in use for something else.
    """

    def __init__(self, folder: Path, *, run: Mapping[str, Any]) -> None:
        """Check that the folder can be used; nothing is created yet."""
        self._folder = folder
        self._places = Places(reserved=(TABLE, _MARK))
        self._mark = json.dumps(run, indent=1).encode("ascii")
        self._url = url_of(folder)
        if self._url is not None:
            taken = not remote_copies.is_free(self._url, mark=_MARK, data=self._mark)
        else:
            taken = not _is_empty(folder) and _read(folder / _MARK) != self._mark
        if taken:
            raise ScoreError(
                f"{folder}: not empty, and not the quarantine of these inputs. Name another folder "
                "with `quarantine`, or remove it."
            )

    def begin(self) -> None:
        """Create the folder and mark it as a quarantine of these inputs.

        Raises:
            ScoreError: it cannot be created.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            atomic.write(self._folder / _MARK, self._mark)
        except OSError as error:
            raise _cannot_write(self._folder, error) from error

    def take(self, unit: Path) -> None:
        """Copy the bad inputs of one unit.

        Args:
            unit: the file of its bad records; it may be missing.

        Raises:
            ScoreError: the copies cannot be written.
        """
        for bad in bad_records.read(unit):
            self._copy(bad)

    def finish(self, units: Iterable[Path]) -> None:
        """Write the table of all bad inputs so far.

        Args:
            units: the files of their bad records, in order.

        Raises:
            ScoreError: it cannot be written.
        """
        units = list(units)
        if self._places.shared:  # units may not have finished in order
            self._places.start_over()
            for unit in units:
                self.take(unit)
        table = self._folder / TABLE
        try:
            with atomic.replacing(table) as file:
                file.write(_line("path", "reason", "detail", "copy"))
                for unit in units:
                    file.writelines(self._lines(unit))
        except OSError as error:
            raise _cannot_write(table, error) from error
        if self._url is not None:
            remote_copies.upload(self._folder, self._url)

    def _lines(self, unit: Path) -> Iterator[bytes]:
        for bad in bad_records.read(unit):
            places = self._places.of(bad)
            copy = next((place for place in places if self._is_file(place)), "")
            yield _line(bad.path, bad.reason, bad.detail, copy)

    def _copy(self, bad: BadRecord) -> None:
        """Copy the bytes if they can be read; otherwise the input is only listed in the table."""
        try:
            remote = is_remote(bad.file)
            source, offset = (_fetched(bad), 0) if remote else (open_regular(bad.file), bad.offset)
        except (OSError, ValueError):  # ValueError: a name that no file can have
            return
        try:
            there = max(0, os.fstat(source).st_size - offset)
            size = min(bad.size, there) if bad.size >= 0 else there
            self._place(source, bad, offset, size)
        finally:
            os.close(source)

    def _place(self, source: int, bad: BadRecord, offset: int, size: int) -> None:
        places = self._places.of(bad)
        compare = bad.path in self._places.shared
        for place in places:
            target = self._folder / place
            try:
                there = self._is_file(place) and target.stat().st_size == size
                if not there or (compare and not is_copy(target, source, offset, size)):
                    write_copy(target, source, offset, size)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue  # another input's file is where this one needs a folder, or vice versa
            except ReadError:
                return
            except OSError as error:
                raise _cannot_write(target, error) from error
            return

    def _is_file(self, place: str) -> bool:
        return (self._folder / place).is_file()


def _fetched(bad: BadRecord) -> int:
    """Fetch an object, or the part of it that an image is, to a file without a name."""
    data = store.read(bad.file, bad.offset, bad.size)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.dup(file.fileno())


def _read(file: Path) -> bytes | None:
    try:
        return read_regular(file)
    except OSError:
        return None


def _is_empty(folder: Path) -> bool:
    """Whether it does not exist, is empty, or has only an unfinished mark."""
    try:
        return all(
            entry.name != _MARK and atomic.final_name(entry.name) == _MARK
            for entry in os.scandir(folder)
        )
    except FileNotFoundError:
        return True
    except OSError:  # a file, or a folder that may not be read
        return False


def _line(*fields: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(fields)
    try:
        return text.getvalue().encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, from the JSON of another tool's shard
        return text.getvalue().encode("utf-8", "surrogatepass")


def _cannot_write(path: Path, error: OSError) -> ScoreError:
    return ScoreError(
        f"{path}: cannot be written: {str(error.strerror).lower()}. Finished units are kept. Free "
        "some space, or name another folder with `quarantine`, and rerun the same command."
    )


def refuse_inside(folder: Path, source: str | Path) -> None:
    """Raise if the copies would become inputs of the next run.

    Args:
        folder: of the quarantine.
        source: a path, or a URL as text.

    Raises:
        ScoreError: `folder` is in `source` or is the same folder.
    """
    url, text = url_of(folder), os.fspath(source)
    if url is not None or is_remote(text):
        is_inside = url is not None and is_remote(text) and is_below(url, text)
    else:
        inside, outside = folder.resolve(), Path(source).resolve()
        is_inside = outside.is_dir() and (inside == outside or outside in inside.parents)
    if is_inside:
        raise ScoreError(
            f"{folder}: inside {source}, so the copies would become inputs. Name a folder "
            "elsewhere with `quarantine`."
        )
