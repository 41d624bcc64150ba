"""Publishes an output on object storage: a file as one upload, which appears as a whole.

Of an older output, the record and the stamps are removed first and written last, so that they never
describe other rows than those beside them. After a kill in between, all parts are still there, and
the same command publishes again.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from shards.files import open_binary
from shards.remote import places, store
from shards.remote.patience import patiently
from vocscore.errors import ScoreError
from vocscore.records.input_stamps import stamps_file
from vocscore.records.score_record import record_file
from vocscore.scoring.output import mirrored
from vocscore.scoring.output.existing import refuse_existing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack
    from pathlib import Path

    from vocscore.scoring.output.features_parts import FeaturesFormat
    from vocscore.scoring.output.part_store import Join


class ObjectPublisher:
    """A `Publisher` of an object, or of some below a prefix.

    Args:
        output: the future output, as a mirrored path.
        suffix: suffix of the parts.
        folder: keep the parts as the output instead of joining them.
        features: must be None.

    Raises:
        ScoreError: features are wanted.
    """

    def __init__(self, output: Path, *, suffix: str, folder: bool, features: Path | None) -> None:
        if features is not None:
            raise ScoreError(f"{output}: features are written beside local outputs only.")
        self.features_bytes: int | None = None
        self._output, self._url = output, str(output)
        self._suffix = suffix
        self._folder = folder

    def hold(self, held: ExitStack) -> None:
        """Exclude nobody: two merges write the same bytes, each as a whole."""

    def settle(self) -> bool:
        """Do nothing: a merge that was killed is repeated."""
        return False

    def refuse_existing(self, *, overwrite: bool) -> None:
        """Raise if the output must not be replaced, by the mirror."""
        refuse_existing(self._output, overwrite=overwrite, folder=self._folder)

    def close(self) -> None:
        """Nothing of its own is left: outputs appear at once."""

    def publish(
        self,
        parts: Callable[[], Iterable[Path]],
        write: Join,
        *,
        features: tuple[FeaturesFormat, Callable[[], Iterable[Path]]] | None,
        record: Callable[[int], bytes] | None,
        files: bytes | None,
    ) -> None:
        """Upload the output, then what describes it."""
        del features
        beside, stamps = str(record_file(self._output)), str(stamps_file(self._output))
        patiently(lambda: store.delete([beside, stamps]))
        if self._folder:
            size = patiently(lambda: self._put_parts(parts()))
        else:
            size = patiently(lambda: self._put_file(parts(), write))
        if files is not None:
            patiently(lambda: store.put(stamps, files))
        if record is not None:
            told = record(size)
            patiently(lambda: store.put(beside, told))
        with suppress(OSError):
            mirrored.forget(self._output)

    def _put_file(self, parts: Iterable[Path], write: Join) -> int:
        with store.writer(self._url) as file:
            write(file, parts)
            return file.tell()

    def _put_parts(self, parts: Iterable[Path]) -> int:
        earlier = {entry.name for entry in store.listing(self._url)}
        size = 0
        for number, part in enumerate(parts):
            name = f"part-{number:06d}{self._suffix}"
            earlier.discard(name)
            with open_binary(part) as source, store.writer(places.join(self._url, name)) as file:
                shutil.copyfileobj(source, file, 1 << 20)
                size += file.tell()
        store.delete(places.join(self._url, name) for name in earlier if name.startswith("part-"))
        return size
