"""A plan, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from vocscore.printed import Printed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vocscore.scoring.forecast.arithmetic import Forecast, Measured

_STAGES: Final = {
    "read": "reading", "decode": "decoding", "model": "inference", "write": "writing",
}  # fmt: skip
_DURATIONS: Final = ((172_800, 86_400, "days"), (5_400, 3_600, "h"), (100, 60, "min"))
_SIZES: Final = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "KB"))


@dataclass(frozen=True)
class PlanReport(Printed):
    """What a run would take.

    Attributes:
        source: what would be scored.
        output: path of the rows.
        device: of one process.
        precision: of the network.
        measured: what was measured.
        planned: the run as asked for, with the unit size that is advised.
        alone: the same run by one process.
        unit_size: the images of a unit that are advised; None if units are tars.
        advice: suggestions, one line each.
        problems: what could not be listed, and a machine that is busy, one line each.
    """

    source: str
    output: Path
    device: str
    precision: str
    measured: Measured
    planned: Forecast
    alone: Forecast
    unit_size: int | None
    advice: tuple[str, ...]
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the text that `vocscore plan` prints."""
        return "\n".join((*self._inputs(), *self._measured(), *self._run()))

    def to_json(self) -> dict[str, Any]:
        """Return plain values: times in seconds, sizes in bytes."""
        measured = self.measured
        return {
            **asdict(self),
            "output": str(self.output),
            "images_per_second": measured.rate,
            "bottleneck": measured.bottleneck,
            "requests": measured.requests,
        }

    def _inputs(self) -> Iterator[str]:
        measured = self.measured
        about = "" if measured.counted else "about "
        tars = "" if measured.tars is None else f" in {measured.tars:,} tars"
        size = measured.bytes / max(measured.images, 1)
        yield (
            f"images: {about}{measured.images:,}{tars}, {as_size(measured.bytes)} in all, "
            f"{as_size(size)} on average"
        )

    def _measured(self) -> Iterator[str]:
        measured, trial = self.measured, self.measured.trial
        bad = f", {trial.errors:,} of them errors" if trial.errors else ""
        machine = measured.machine
        gpus = f", {machine.gpus} GPU{'s' * (machine.gpus > 1)}" if machine.gpus else ""
        yield (
            f"tried here: {trial.images:,} images spread over SRC{bad}, in {trial.seconds:.1f} s: "
            f"{trial.images_per_second:,.1f} images/s ({machine.cores} cores{gpus}, "
            f"{self.device}, {self.precision})"
        )
        storage = measured.storage
        for reads in dict.fromkeys((storage.one, storage.many)):  # of fetched tars they are one
            yield (
                f"reading alone, {reads.threads} thread{'s' * (reads.threads > 1)}: "
                f"{reads.images_per_second:,.0f} images/s, {as_size(reads.bytes_per_second)}/s, "
                f"{1000 * reads.latency:.1f} ms each"
            )
        if measured.ceilings is not None:
            write = f", writing {1 / measured.rows.write:,.0f}" if measured.rows else ""
            yield (
                f"alone, images/s: decoding {measured.ceilings.decode:,.0f}, inference "
                f"{measured.ceilings.model:,.0f}{write}"
            )
        stage, trial = measured.bottleneck, measured.trial
        why = "no good image in the sample" if trial.errors == trial.images else "several devices"
        yield f"bottleneck: {_STAGES[stage] if stage else f'unknown ({why})'}"

    def _run(self) -> Iterator[str]:
        if self.planned.processes > 1:
            yield _line(self.alone)
        planned, measured = self.planned, self.measured
        yield _line(planned)
        each = planned.units / planned.processes
        what = f"{planned.unit_size:,} images" if measured.tars is None else "a tar"
        yield (
            f"unit: {what}, {as_duration(planned.unit_seconds)}; {planned.units:,} in all, "
            f"{each:,.{0 if each >= 10 else 1}f} per process"
        )
        requests = f", {measured.requests:,} requests" if measured.remote else ""
        rate = measured.bytes / max(planned.seconds, 1e-9)
        yield (
            f"read: {as_size(measured.bytes)}{requests}; {as_size(rate)}/s by all processes "
            "together, which the storage has to keep up with"
        )
        if measured.rows is not None:
            yield f"written: {as_size(planned.output_bytes)}"
        if planned.cost is not None:
            yield f"cost: {planned.cost:,.2f}"
        yield from (f"suggestion: {line}" for line in self.advice)


def _line(planned: Forecast) -> str:
    many = "1 process" if planned.processes == 1 else f"{planned.processes:,} processes"
    gpus = f", {planned.gpu_hours:,.2f} GPU hours" if planned.gpu_hours else ""
    return (
        f"{many}: {as_duration(planned.seconds)} ({as_duration(planned.low)} to "
        f"{as_duration(planned.high)}), {planned.core_hours:,.2f} core hours{gpus}"
    )


def as_duration(seconds: float) -> str:
    """Return a time as text, with two digits at least: '14 s', '12 min', '3.4 h'."""
    for least, unit, name in _DURATIONS:
        if seconds >= least:
            return _two_digits(seconds / unit, name)
    return _two_digits(seconds, "s")


def as_size(size: float) -> str:
    """Return a number of bytes as text: '312 bytes', '1.4 GB'."""
    for unit, name in _SIZES:
        if size >= unit:
            return _two_digits(size / unit, name)
    return f"{size:.0f} bytes"


def _two_digits(value: float, unit: str) -> str:
    return f"{value:,.{0 if value >= 9.95 else 1}f} {unit}"
