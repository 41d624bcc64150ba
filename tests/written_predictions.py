"""Predictions written by the program's own formats, without a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shards.errors import Fault, Reason
from vocscore.records.score_record import ModelFacts, ScoreRecord, record_file
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import EVERYTHING, Selection
from vocscore.scoring.output.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vocscore.scoring.formats.choice import Choice, RowsFormat

HOSTILE = (
    "plain.jpg",
    "<script>alert(1)</script>.jpg",
    'quote" comma, and; semicolon.jpg',
    "line\nend.jpg",
    "caf\udce9.jpg",  # a byte that is not UTF-8
    "Ünïcode/日本.jpg",
    "../../etc/passwd",
)


@dataclass(frozen=True)
class Drawn:
    """Random predictions, with the truth about them.

    Attributes:
        names: paths.
        classes: column names.
        probabilities: float32 (N, C).
        failures: row -> fault.
        threshold: of the labels.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    failures: dict[int, Fault]
    threshold: Any = 0.5

    @property
    def rows(self) -> Rows:
        """As scoring gives them."""
        return Rows(self.names, self.probabilities, self.failures)

    def record(self, **more: Any) -> ScoreRecord:
        """A record of these predictions."""
        is_one = isinstance(self.threshold, float)
        model = ModelFacts(
            given="run",
            path="/nowhere/run",
            sha256="0" * 64,
            precision="float32",
            preprocess={"size": 256},
            threshold=self.threshold if is_one else tuple(self.threshold),
            classes=self.classes,
        )
        values: dict[str, Any] = {
            "vocscore": "0.1.0",
            "libraries": {},
            "command": None,
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "2026-01-01T00:00:01+00:00",
            "model": model,
            "source": {"given": "images", "path": "/nowhere/images"},
            "settings": {},
            "output": {},
            "rows": len(self.names),
            "resumed": 0,
            "errors": {},
            "trained_on": None,
        }
        return ScoreRecord(**{**values, **more})

    def write(
        self,
        output: Path,
        *,
        folder_format: str | None = None,
        part_rows: int = 10,
        selection: Selection = EVERYTHING,
        record: ScoreRecord | None = None,
    ) -> Path:
        """Write them as parts, and join these, as scoring does."""
        choice = choose(output, folder_format=folder_format)
        rows_format = self.open(choice, selection)
        parts = output if choice.folder else output.with_name(f"{output.name}.rows")
        parts.mkdir()
        made = []
        for number, start in enumerate(range(0, len(self.names), part_rows)):
            stop = min(start + part_rows, len(self.names))
            part = parts / f"part-{number:06d}{rows_format.suffix}"
            with part.open("wb") as file:
                rows_format.write(file, self.part(start, stop))
            made.append(part)
        if not choice.folder:
            with output.open("wb") as file:
                rows_format.merge(file, made)
        if record is not None:
            record_file(output).write_bytes(record.to_bytes())
        return output

    def open(self, choice: Choice, selection: Selection = EVERYTHING) -> RowsFormat:
        """The format that writes them."""
        model = self.record().model
        origin = {
            "vocscore": self.record().vocscore,
            "checkpoint": model.sha256,
            "preprocess": model.preprocess,
        }
        return choice.open(self.classes, self.threshold, selection=selection, origin=origin)

    def part(self, start: int, stop: int) -> Rows:
        """Some of the rows."""
        failures = {r - start: f for r, f in self.failures.items() if start <= r < stop}
        return Rows(self.names[start:stop], self.probabilities[start:stop], failures)


def draw(
    rows: int = 40,
    classes: Sequence[str] = ("cat", "dog", "bird"),
    *,
    seed: int = 0,
    failing: Sequence[int] = (),
    names: Sequence[str] | None = None,
    threshold: Any = 0.5,
) -> Drawn:
    """Draw probabilities, some of them equal, some at the threshold."""
    generator = np.random.default_rng(seed)
    shape = (rows, len(classes))
    probabilities = generator.beta(0.4, 0.6, shape).astype(np.float32)
    probabilities[generator.random(shape) < 0.2] = 0.5
    reasons = (Reason.TRUNCATED, Reason.CORRUPT)
    failures = {row: Fault(reasons[row % 2], f"detail of {row}") for row in failing}
    probabilities[list(failing)] = 0
    known = tuple(names) if names is not None else ()
    known += tuple(f"folder/{row:05d}.jpg" for row in range(len(known), rows))
    return Drawn(known[:rows], tuple(classes), probabilities, failures, threshold)
