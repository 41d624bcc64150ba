"""The result of a scoring run, for the summary and the Python API."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shards.file_kinds import count
from vocscore.config.scoring import CEILINGS_AFTER
from vocscore.machine import peak_memory
from vocscore.printed import Printed
from vocscore.records.keys import stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from vocscore.config.scoring import ScoreConfig
    from vocscore.records.score_record import ScoreRecord
    from vocscore.scoring.ceilings import Ceilings, Reached
    from vocscore.scoring.engines import Engine
    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.output.destination import Destination
    from vocscore.scoring.update.reuse import Reuse

_SOMETIMES = ("features", "tta", "precision", "processes", "units", "left", "gpu")
"""Fields that are left out of the JSON where they do not apply."""


@dataclass(frozen=True)
class ScoreReport(Printed):
    """The result of a scoring run.

    Attributes:
        images: rows of the output.
        resumed: how many of them an earlier run had scored.
        reasons: reason -> rows with that error.
        skipped: number of files of the source and members of its tars that are not images.
        problems: damage that does not concern a single image, one line each.
        seconds: duration of this run, from the first image to the finished output, without
            listing and loading.
        output: path of the rows.
        ceilings: the machine's maximum rates; None if they were not measured.
        skipped_kinds: kind (a suffix, hidden files) -> number of files skipped.
        complete: whether the output was there already, and nothing was done.
        update: with `update`, numbers of rows 'reused', 'new', 'changed', 'retried' (after an
            error), 'dropped' (their images are gone) and 'kept' (though their images are gone).
        features: path of the features; None if they were not asked for.
        tta: the views of each image; None: one.
        precision: the arithmetic that `auto` took, and why; None if it had no choice.
        processes: how many were started without being asked for, and why; None: none.
        units: the share of a job, such as '3/16' or 'any'; None: the output was written.
        left: with `units`, how many units of all jobs were not committed yet.
        peak_memory_bytes: the most that this process has had in memory, or the largest of its
            workers on this machine that have ended; 0 if nothing was scored.
        gpu: the GPU of this process and the number of its JPEG engines; None on the CPU and with
            `devices`.
    """

    images: int
    resumed: int
    reasons: dict[str, int]
    skipped: int
    problems: tuple[str, ...]
    seconds: float
    output: Path
    ceilings: Ceilings | None = None
    skipped_kinds: Mapping[str, int] = field(default_factory=dict)
    complete: bool = False
    update: Mapping[str, int] | None = None
    features: Path | None = None
    tta: str | None = None
    precision: str | None = None
    processes: str | None = None
    units: str | None = None
    left: int | None = None
    peak_memory_bytes: int = 0
    gpu: str | None = None

    def __str__(self) -> str:
        """Return images, errors by reason, the rate, and the path of the rows."""
        if self.complete:
            return (
                f"{self.output}: already complete ({self.images} rows, {self.errors} errors), "
                "nothing to do"
            )
        reasons = ", ".join(f"{n} {reason}" for reason, n in self.reasons.items())
        where = self.output if self.units is None else f"units {self.units} of {self.output}"
        return (
            f"{self.images} images, {self.errors} errors{f' ({reasons})' if reasons else ''}, "
            f"{self.images_per_second:.1f} images/s: {where}"
        )

    @property
    def errors(self) -> int:
        """Number of rows with an error."""
        return sum(self.reasons.values())

    @property
    def all_bad(self) -> bool:
        """Whether every row has an error."""
        return self.images > 0 and self.errors == self.images

    @property
    def images_per_second(self) -> float:
        """Rate of this run, including decoding, scoring, committing and merging."""
        stay = self.update["reused"] + self.update["kept"] if self.update else 0
        return max(self.images - self.resumed - stay, 0) / max(self.seconds, 1e-9)

    @property
    def reached(self) -> Reached | None:
        """The rate compared with the ceilings; None if these were not measured."""
        if self.ceilings is None:
            return None
        good = 1 - self.errors / max(self.images, 1)
        return self.ceilings.reached(self.images_per_second, good=good)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with the rate, the errors and, if measured, the bottleneck."""
        value = {**stored(asdict(self)), "output": str(self.output), "errors": self.errors}
        for name in _SOMETIMES:
            told = value.pop(name)
            plain = told if isinstance(told, int) else str(told)
            value.update({} if told is None else {name: plain})
        value["images_per_second"] = self.images_per_second
        if self.reached is not None:
            value.update(self.reached.to_json())
        return value


def rows_of(ledger: Destination) -> int:
    """Number of rows of the committed units."""
    return sum(record.rows for record in ledger.records.values())


def complete_report(
    inputs: Inputs, record: ScoreRecord, output: Path, reuse: Reuse | None = None
) -> ScoreReport:
    """The report on an output that is already what it should be."""
    return ScoreReport(
        images=record.rows,
        resumed=record.rows,
        reasons=dict(record.errors),
        skipped=sum(inputs.skipped.values()),
        problems=tuple(inputs.problems),
        seconds=0.0,
        output=output,
        skipped_kinds=dict(inputs.skipped),
        complete=True,
        update=None if reuse is None else reuse.counts,
    )


def report_of(
    inputs: Inputs, ledger: Destination, *, resumed: int, seconds: float, output: Path
) -> ScoreReport:
    """Sum up the committed units.

    Args:
        inputs: what was scored.
        ledger: has the units.
        resumed: rows of an earlier run.
        seconds: duration of this run.
        output: path of the rows.
    """
    records = [record for _, record in sorted(ledger.records.items())]
    reasons: Counter[str] = Counter()
    skipped = dict(inputs.skipped)
    for record in records:
        reasons.update(record.errors)
        for kind, number in record.skipped.items():
            count(skipped, kind, number)
    return ScoreReport(
        images=rows_of(ledger),
        resumed=resumed,
        reasons=dict(sorted(reasons.items())),
        skipped=sum(skipped.values()),
        skipped_kinds=dict(sorted(skipped.items())),
        problems=(*inputs.problems, *(line for record in records for line in record.problems)),
        seconds=seconds,
        output=output,
        peak_memory_bytes=peak_memory(),
    )


def with_ceilings(
    report: ScoreReport,
    engine: Engine,
    inputs: Inputs,
    config: ScoreConfig,
    *,
    stage: Callable[[str], None],
) -> ScoreReport:
    """Measure the ceilings on some of the images, if they are asked for, or the run was long."""
    wanted = config.output.ceilings
    if not (report.seconds >= CEILINGS_AFTER if wanted is None else wanted):
        return report
    stage("measuring the ceilings")
    sample = next(inputs.units(config.inputs.unit_size)).read().images
    return replace(report, ceilings=engine.ceilings(sample))
