"""Scores a source: units to parts, parts to the output."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from vocscore.errors import ScoreError
from vocscore.score.ledger import open_ledger, refuse_existing, work_folder
from vocscore.score.rows import CsvFormat
from vocscore.score.scoring import Scoring
from vocscore.score.sources import read_source, source_name

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.score.ledger import Ledger
    from vocscore.score.scoring import Progress
    from vocscore.score.units import Inputs


@dataclass(frozen=True)
class ScoreReport:
    """What scoring came to.

    Attributes:
        pictures: rows of the output.
        resumed: how many of them an earlier run had scored.
        reasons: reason -> rows with that error.
        skipped: files of the source that are no pictures.
        problems: damage that is not the fault of one picture, a line each.
        seconds: of this run, from the first picture to the finished output; listing and loading
            came before.
        output: where the rows are.
    """

    pictures: int
    resumed: int
    reasons: dict[str, int]
    skipped: int
    problems: tuple[str, ...]
    seconds: float
    output: Path

    @property
    def errors(self) -> int:
        """Rows with an error."""
        return sum(self.reasons.values())

    @property
    def images_per_second(self) -> float:
        """Pictures of this run over its seconds, decoding, scoring, committing and merging."""
        return (self.pictures - self.resumed) / max(self.seconds, 1e-9)


def score(
    source: Path,
    output: Path,
    *,
    checkpoint: Path,
    maker: str,
    device: str,
    batch_size: int,
    unit_size: int,
    threads: int,
    overwrite: bool,
    max_pixels: int,
    progress: Progress | None = None,
) -> ScoreReport:
    """Write one row for every picture of a source.

    Stopped for whatever reason, the same call goes on where it stopped; on the same machine and
    with the same libraries, the output's bytes are those of a run that was not stopped.

    Args:
        source: as for `read_source`.
        output: a `.csv`; it appears when it is complete.
        checkpoint: the folder of a trained network.
        maker: as for `open_maker`.
        device: as for `resolve_device`.
        batch_size: pictures decoded together. On a CPU it does not change a bit of the output; on
            a GPU it is the network's batch too, and may change the last bits.
        unit_size: files that are committed together; a tar is one unit.
        threads: that read and decode.
        overwrite: replace an output that is there, and an unfinished run with other settings.
        max_pixels: width times height of a picture that is still decoded.
        progress: called with the rows done, all rows (an estimate where the source does not
            tell), and the errors so far.

    Raises:
        ScoreError: nothing to score, the output cannot be made, or an unfinished run is another.
        CheckpointError, DeviceError, DamageError: from what is opened.
        RowsError: a row was lost or doubled; a fault of this program.
    """
    _refuse_format(output)
    if not work_folder(output).exists():  # else only the ledger can tell whose it is
        refuse_existing(output, overwrite=overwrite)
    inputs = read_source(source)

    from vocscore.models.checkpoint import checkpoint_hash, load_checkpoint
    from vocscore.pipeline.makers import open_maker
    from vocscore.runtime import open_runtime, resolve_device
    from vocscore.score.forward import CPU_GROUP, Forward

    where = resolve_device(device)
    network, card = load_checkpoint(checkpoint)
    opened = open_maker(
        maker,
        card.preprocess,
        batch_size=batch_size,
        device=where,
        threads=threads,
        max_pixels=max_pixels,
    )
    # Everything that decides the bytes of the output.
    plan = {
        "vocscore": version("vocscore"),
        "source": source_name(source),
        "listing": inputs.digest(),
        "unit_size": unit_size,
        "checkpoint": checkpoint_hash(checkpoint),
        "threshold": card.threshold,
        "preprocess": card.preprocess.to_json(),
        "maker": type(opened).__name__,
        "device": where.partition(":")[0],
        "max_pixels": max_pixels,
    }
    with (
        closing(opened),
        open_ledger(output, plan, suffix=CsvFormat.suffix, overwrite=overwrite) as ledger,
    ):
        group = CPU_GROUP if where == "cpu" else batch_size
        forward = Forward(open_runtime(network, card, device=where), group=group)
        rows_format = CsvFormat(card.classes, card.threshold)
        resumed, started = _rows(ledger), time.monotonic()
        scoring = Scoring(
            inputs, ledger, unit_size=unit_size, rows_format=rows_format, progress=progress
        )
        scoring.run(opened, forward)
        seconds = time.monotonic() - started
    return _report(inputs, ledger, resumed=resumed, seconds=seconds, output=output)


def _refuse_format(output: Path) -> None:
    if output.suffix.lower() != CsvFormat.suffix:
        raise ScoreError(f"{output}: only CSV is written. Name a file that ends in .csv with -o.")


def _rows(ledger: Ledger) -> int:
    return sum(record.rows for record in ledger.records.values())


def _report(
    inputs: Inputs, ledger: Ledger, *, resumed: int, seconds: float, output: Path
) -> ScoreReport:
    records = [record for _, record in sorted(ledger.records.items())]
    reasons: Counter[str] = Counter()
    for record in records:
        reasons.update(record.errors)
    return ScoreReport(
        pictures=_rows(ledger),
        resumed=resumed,
        reasons=dict(sorted(reasons.items())),
        skipped=inputs.skipped,
        problems=(*inputs.problems, *(line for record in records for line in record.problems)),
        seconds=seconds,
        output=output,
    )
