r"""Writes scored images as JSON Lines: one object per line, ASCII, terminated by a line feed.

    {"path": "a.jpg", "status": "ok", "error": null, "probabilities": {"cat": 0.75, "dog": 0.1},
     "labels": ["cat"]}

A failed image has null for `probabilities` and `labels`. Numbers have as many digits as are needed
to read back the same float32, or the decimals that were asked for. Classes are in the order of the
checkpoint; a class that was not selected has no key. If a name is not UTF-8, its invalid bytes are
shown as `\xe9` in `path`, and all of its bytes are in hexadecimal in `path_bytes`: Python would
write lone surrogates, which strict readers such as DuckDB refuse.
"""

from __future__ import annotations

import shutil
from itertools import compress
from json.encoder import encode_basestring_ascii as text
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from vocscore.models.probabilities import decide
from vocscore.scoring.formats.text import name_bytes, readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from vocscore.scoring.formats.selection import Selection
    from vocscore.scoring.output.rows import Rows

_ROWS_A_CHUNK = 4096
_COPY_BYTES = 1 << 20


class JsonlFormat:
    """Writes parts and joins them.

    Args:
        classes: the keys of `probabilities`.
        threshold: a class is in `labels` at or above this probability, both as float32; one number,
            or one per class.
        selection: what is written per image.
        activation: of the probabilities, as for `decide`.
    """

    suffix = ".jsonl"

    def __init__(
        self,
        classes: Sequence[str],
        threshold: float | Sequence[float],
        *,
        selection: Selection,
        activation: str = "sigmoid",
    ) -> None:
        self.classes = tuple(classes)
        self._threshold = np.asarray(threshold, np.float32)
        self._activation = activation
        self._selection = selection
        self._names = [text(readable(name)) for name in classes]
        self._keys = [f"{name}: " for name in self._names]
        self._nothing = "".join(
            f', "{key}": null'
            for key, there in (
                ("probabilities", selection.probabilities),
                ("labels", selection.labels),
            )
            if there
        )

    def write(self, file: BinaryIO, rows: Rows) -> None:
        """Write the part of one unit."""
        for start in range(0, len(rows.names), _ROWS_A_CHUNK):
            stop = min(start + _ROWS_A_CHUNK, len(rows.names))
            file.write("".join(self._lines(rows, start, stop)).encode("ascii"))

    def merge(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        """Concatenate the parts."""
        for part in parts:
            with part.open("rb") as opened:
                shutil.copyfileobj(opened, file, _COPY_BYTES)

    def _lines(self, rows: Rows, start: int, stop: int) -> Iterator[str]:
        probabilities = self._probabilities(rows, start, stop)
        labels = self._labels(rows, start, stop)
        for row in range(start, stop):
            path = _path(rows.names[row])
            failure = rows.failures.get(row)
            if failure is None:
                results = probabilities[row - start] + labels[row - start]
                yield f'{{{path}, "status": "ok", "error": null{results}}}\n'
            else:
                error = text(readable(str(failure)))
                yield f'{{{path}, "status": "error", "error": {error}{self._nothing}}}\n'

    def _probabilities(self, rows: Rows, start: int, stop: int) -> list[str]:
        if not self._selection.probabilities:
            return [""] * (stop - start)
        values = self._selection.rounding.values(rows.probabilities[start:stop]).tolist()
        kept = self._selection.kept(rows.probabilities[start:stop]).tolist()
        if self._selection.decimals is None:
            pairs = ([f"{k}{v!r}" for k, v in zip(self._keys, row, strict=True)] for row in values)
        else:
            form = self._selection.rounding.template
            pairs = ([k + form % v for k, v in zip(self._keys, row, strict=True)] for row in values)
        return [
            ', "probabilities": {' + ", ".join(compress(pair, keep)) + "}"
            for pair, keep in zip(pairs, kept, strict=True)
        ]

    def _labels(self, rows: Rows, start: int, stop: int) -> list[str]:
        if not self._selection.labels:
            return [""] * (stop - start)
        probabilities = rows.probabilities[start:stop]
        above = decide(probabilities, self._threshold, self._activation).tolist()
        return [f', "labels": [{", ".join(compress(self._names, row))}]' for row in above]


def _path(name: str) -> str:
    shown = readable(name)
    exact = "" if shown == name else f', "path_bytes": "{name_bytes(name).hex()}"'
    return f'"path": {text(shown)}{exact}'
