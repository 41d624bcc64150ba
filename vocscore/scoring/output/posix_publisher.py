"""Publishes on a file system that several machines may share, by `Publication`."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from shards import atomic
from shards.files import open_binary
from vocscore.errors import ScoreError
from vocscore.scoring.output import part_folder
from vocscore.scoring.output.existing import refuse_existing
from vocscore.scoring.output.features_parts import KEY, refuse_existing_features
from vocscore.scoring.output.publication import Publication
from vocscore.scoring.output.work_folder import work_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from vocscore.scoring.output.features_parts import FeaturesFormat
    from vocscore.scoring.output.part_store import Join

_LEFT = ("merged.csv", "merged.parquet", "merged.jsonl", "record.json", "files.npy")


class PosixPublisher:
    """A `Publisher` of a file or folder.

    Args:
        output: the future file or folder.
        suffix: suffix of the parts.
        folder: keep the parts as the output instead of joining them.
        features: the file for features; None: none.
    """

    def __init__(self, output: Path, *, suffix: str, folder: bool, features: Path | None) -> None:
        self.features_bytes: int | None = None
        self._output = output
        self._suffix = suffix
        self._folder = folder
        self._features = features
        self._work = work_folder(output)
        self._publication = Publication(self._work, output, suffix=suffix, folder=folder)

    def hold(self, held: ExitStack) -> None:
        """Hold a lock, where the file system has locks: two merges would write the same bytes."""
        try:
            held.enter_context(atomic.exclusive(self._work / "lock"))
        except FileNotFoundError:
            return
        except BlockingIOError as error:
            raise ScoreError(
                f"{self._output}: another run is writing it. Wait until it has finished."
            ) from error

    def settle(self) -> bool:
        """Move what a killed merge had completed."""
        if not self._publication.done.exists():
            return False
        self._finish()
        return True

    def refuse_existing(self, *, overwrite: bool) -> None:
        """Raise if the output or the file of features must not be replaced."""
        refuse_existing(self._output, overwrite=overwrite, folder=self._folder)
        if self._features is not None:
            refuse_existing_features(self._features, overwrite=overwrite)

    def publish(
        self,
        parts: Callable[[], Iterable[Path]],
        write: Join,
        *,
        features: tuple[FeaturesFormat, Callable[[], Iterable[Path]]] | None,
        record: Callable[[int], bytes] | None,
        files: bytes | None,
    ) -> None:
        """Write everything in the work folder, then move it."""
        rows = parts
        if self._folder:
            placed = list(self._placed(parts()))
            rows = lambda: placed  # noqa: E731 - of the same form as `parts`
        self._publication.write(
            rows,
            write,
            join_features=lambda: self._join(features),
            record=record,
            files=files,
        )
        self._finish()

    def _placed(self, parts: Iterable[Path]) -> Iterator[Path]:
        """Give the parts their names in the folder that becomes the output."""
        rows = self._publication.rows
        part_folder.remove(rows)  # of a merge that was killed
        rows.mkdir()
        for number, part in enumerate(parts):
            place = rows / f"part-{number:06d}{self._suffix}"
            try:
                os.link(part, place)
            except OSError:  # a file system without links
                with open_binary(part) as source, atomic.replacing(place) as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
            yield place

    def _join(self, features: tuple[FeaturesFormat, Callable[[], Iterable[Path]]] | None) -> None:
        if features is None:
            return
        form, parts = features
        joined = self._work / f"{KEY}{form.suffix}"
        with atomic.replacing(joined) as file:
            form.join(file, parts())
        self.features_bytes = joined.stat().st_size

    def _finish(self) -> None:
        self._publication.finish()
        part_folder.remove(self._work / "replaced")
        for name in _LEFT:
            (self._work / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the sign that the output was complete, last: killed before, `settle` goes on."""
        for name in (self._publication.done.name, "lock"):
            (self._work / name).unlink(missing_ok=True)
