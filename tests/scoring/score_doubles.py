"""Stand-ins for loader and network without torch: fast, and the truth about each row is known."""

from __future__ import annotations

import time
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from shards.errors import Fault, Reason
from vocscore.scoring.bad_inputs.bad_inputs import BadInputs
from vocscore.scoring.bad_inputs.quarantine import Quarantine
from vocscore.scoring.engines.local import LocalEngine
from vocscore.scoring.formats.csv_format import CsvFormat
from vocscore.scoring.inputs.globs import EVERYTHING, Globs
from vocscore.scoring.inputs.sources import read_source
from vocscore.scoring.output.ledger import open_ledger
from vocscore.scoring.scoring import Scoring

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("cat", "dog", "person")
PLAN = {"checkpoint": "a" * 64, "preprocess": {"size": 64}, "threshold": 0.5}


def answer(name: str) -> np.ndarray:
    """What the fake network says of an image: float32, shape (3,)."""
    seed = zlib.crc32(name.encode("utf-8", "surrogateescape"))
    return ((seed * np.array([1, 3, 7])) % 100_003 / 100_003).astype(np.float32)


def is_bad(name: str) -> bool:
    """Whether the fake loader refuses an image."""
    return "bad" in name


class FakeLoader:
    """Batches whose images are names; rows of a batch are in any order, as they may be."""

    def __init__(self, batch_size: int, *, seconds_per_batch: float = 0.0) -> None:
        self.batch_size = batch_size
        self.seconds_per_batch = seconds_per_batch
        self.asked: list[list[str]] = []

    def batches(self, images, *, labels=None, order=None):
        names = [ref.name for ref in images]
        self.asked.append(names)
        for start in range(0, len(names), self.batch_size):
            time.sleep(self.seconds_per_batch)
            rows = range(start, min(start + self.batch_size, len(names)))
            good = [row for row in rows if not is_bad(names[row])][::-1]
            yield SimpleNamespace(
                images=[names[row] for row in good],
                rows=np.array(good, np.int64),
                failures=tuple(
                    SimpleNamespace(row=row, fault=Fault(Reason.CORRUPT, "it is bad"))
                    for row in rows
                    if is_bad(names[row])
                ),
            )

    def close(self) -> None:
        pass


class Answered:
    """Rows whose probabilities are there."""

    fetched = True

    def __init__(self, rows: np.ndarray, probabilities: np.ndarray) -> None:
        self.rows = rows
        self.probabilities = probabilities

    def fetch(self) -> np.ndarray:
        return self.probabilities


class FakeForward:
    """Answers batch by batch and holds nothing back."""

    def feed(self, batch):
        if len(batch.rows):
            yield Answered(batch.rows, np.stack([answer(name) for name in batch.images]))

    def flush(self):
        return iter(())

    def problems(self):
        return ()


def score_fake(
    source: Path,
    output: Path,
    *,
    loader: Any = None,
    forward: Any = None,
    engine: Any = None,
    unit_size: int = 4,
    plan: dict[str, Any] | None = None,
    overwrite: bool = False,
    progress: Any = None,
    globs: Globs = EVERYTHING,
    max_bad: float | None = None,
    quarantine: Path | None = None,
) -> Any:
    """Score a source as `run.score` does, without a network; return the ledger."""
    inputs = read_source(source, globs=globs)
    plan = {"listing": inputs.digest(), **(plan or PLAN)}
    with open_ledger(output, plan, suffix=".csv", overwrite=overwrite) as ledger:
        scoring = Scoring(
            inputs,
            ledger,
            unit_size=unit_size,
            rows_format=CsvFormat(CLASSES, 0.5),
            progress=progress,
            bad=BadInputs(
                ledger,
                max_bad=max_bad,
                quarantine=quarantine and Quarantine(quarantine, run={"source": str(source)}),
            ),
        )
        local = LocalEngine(loader or FakeLoader(3), forward or FakeForward(), classes=len(CLASSES))
        scoring.run(engine or local)
    return ledger


def make_files(root: Path, names: list[str]) -> Path:
    """Files that only their names make images."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root
