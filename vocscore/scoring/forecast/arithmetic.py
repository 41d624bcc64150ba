"""From what was measured to hours, requests and money: nothing here looks at a clock or a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vocscore.config.planning import PlanningConfig
    from vocscore.scoring.ceilings import Ceilings
    from vocscore.scoring.forecast.joining import RowCosts
    from vocscore.scoring.forecast.storage import Storage
    from vocscore.scoring.forecast.trial import Trial

UNITS_A_PROCESS: Final = 20
"""Units per process, so that all processes end at about the same time."""
LONGEST_UNIT, SHORTEST_UNIT = 300.0, 5.0
"""Seconds: what a process that dies loses, and how often a unit is committed."""
MOST_IN_UNIT: Final = 32_768
"""Images: the rows of a unit are in memory until it is committed."""
BYTES_A_RANGE: Final = 8 << 20
"""Of a tar on object storage, per request."""
NAMES_A_LIST: Final = 1000
LEAST_DOUBT: Final = 0.1
"""Half of the range as a share of the time: machines of one kind differ by so much."""
ESTIMATED_DOUBT: Final = 0.1
"""What is added where the number of images is an estimate."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What one process has.

    Attributes:
        cores: that it may use.
        gpus: that it uses.
    """

    cores: int
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds that do not depend on the number of images, or little.

    Attributes:
        listing: of the source.
        start: for loading the libraries and the model, and until all stages have something to do.
        ceilings: what the measurement of the ceilings takes.
        ceilings_after: duration of a run after which it measures them; infinite: never.
    """

    listing: float
    start: float
    ceilings: float = 0.0
    ceilings_after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is known about a source, and how fast one process scores it.

    Attributes:
        images: number of images.
        counted: whether that number is exact, not estimated from the sizes of tars.
        bytes: size of all inputs.
        tars: number of tars; None if the inputs are files.
        remote: whether the inputs are on object storage.
        machine: of the process.
        batch_size: images decoded together.
        times: of what is done once.
        trial: some images scored as in a run.
        storage: some images read.
        ceilings: images per second of each stage alone; None if they cannot be measured.
        rows: what rows cost; None if no unit was finished.
    """

    images: int
    counted: bool
    bytes: int
    tars: int | None
    remote: bool
    machine: Machine
    batch_size: int
    times: Times
    trial: Trial
    storage: Storage
    ceilings: Ceilings | None
    rows: RowCosts | None

    @property
    def rate(self) -> float:
        """Images per second of one process; tars on object storage are fetched at the same time."""
        rate = self.trial.images_per_second
        fetched = self.remote and self.tars is not None
        return min(rate, self.storage.images_per_second) if fetched else rate

    @property
    def requests(self) -> int:
        """Requests for listing and reading: one per loose image, one per range of a tar."""
        if not self.remote:
            return 0
        reads = self.images if self.tars is None else -(-self.bytes // BYTES_A_RANGE) + self.tars
        return reads + -(-(self.images if self.tars is None else self.tars) // NAMES_A_LIST)

    @property
    def bottleneck(self) -> str | None:
        """The stage that takes the largest share of its own rate; None if it is not known."""
        if self.ceilings is None:
            return None
        good = 1 - self.trial.errors / max(self.trial.images, 1)
        alone = {
            "read": self.storage.images_per_second,
            "decode": self.ceilings.decode,
            "model": self.ceilings.model / max(good, 1e-9),
        }
        if self.rows is not None and self.rows.write:
            alone["write"] = 1 / self.rows.write
        return min(alone, key=lambda stage: alone[stage])


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A run by some processes.

    Attributes:
        processes: how many, each with the cores of the measured one.
        unit_size: images of a unit; of tars, the mean.
        units: number of units.
        unit_seconds: time of one unit.
        seconds: of the whole run, from its start to the finished output.
        low: the lower end of the range of `seconds`.
        high: the upper end.
        core_hours: cores of all processes times hours.
        gpu_hours: GPUs of all processes times hours.
        output_bytes: size of the output.
        cost: by the given prices; None without prices.
    """

    processes: int
    unit_size: int
    units: int
    unit_seconds: float
    seconds: float
    low: float
    high: float
    core_hours: float
    gpu_hours: float
    output_bytes: float
    cost: float | None


def forecast(measured: Measured, asked: PlanningConfig, *, unit_size: int) -> Forecast:
    """Predict a run.

    All processes start and list at the same time, take units as they become free, and one of them
    joins the parts; the others end when no unit is left.

    Args:
        measured: how fast one process is.
        asked: number of processes, and prices.
        unit_size: images of a unit, if the inputs are files.
    """
    images, rate, processes = measured.images, measured.rate, asked.processes
    units = -(-images // unit_size) if measured.tars is None else measured.tars
    each = min(unit_size, images) if measured.tars is None else -(-images // measured.tars)
    slowest = min(images, -(-units // processes) * each)
    scoring = slowest / rate
    joining = images * measured.rows.join if measured.rows else 0.0
    fixed = measured.times.listing + measured.times.start
    long = scoring + joining >= measured.times.ceilings_after
    alone = joining + (measured.times.ceilings if long else 0.0)
    doubt = max(LEAST_DOUBT, 2 * measured.trial.deviation)
    doubt += 0.0 if measured.counted else ESTIMATED_DOUBT
    seconds = fixed + scoring + alone
    process_hours = (processes * fixed + images / rate + alone) / 3600
    return Forecast(
        processes=processes,
        unit_size=each,
        units=units,
        unit_seconds=each / rate,
        seconds=seconds,
        low=fixed + scoring / (1 + doubt) + alone,
        high=fixed + scoring * (1 + doubt) + alone,
        core_hours=process_hours * measured.machine.cores,
        gpu_hours=process_hours * measured.machine.gpus,
        output_bytes=images * measured.rows.bytes if measured.rows else 0.0,
        cost=_cost(measured, asked, process_hours),
    )


def _cost(measured: Measured, asked: PlanningConfig, process_hours: float) -> float | None:
    prices = (asked.price_per_hour, asked.price_per_1000_requests, asked.price_per_gb)
    if all(price is None for price in prices):
        return None
    amounts = (process_hours, measured.requests / 1000, measured.bytes / 1e9)
    return sum(amount * (price or 0.0) for amount, price in zip(amounts, prices, strict=True))


def advised_unit_size(measured: Measured, processes: int, *, given: int) -> int:
    """Choose the images of a unit: the given number where it is good.

    There should be at least `UNITS_A_PROCESS` units per process, and a unit should take between
    `SHORTEST_UNIT` and `LONGEST_UNIT` seconds; the first matters more for short runs, if every
    process gets a unit at all.

    Args:
        measured: how fast one process is.
        processes: how many.
        given: as the options say.
    """
    rate, batch = measured.rate, measured.batch_size
    per_process = -(-measured.images // processes)
    high = min(rate * LONGEST_UNIT, per_process / UNITS_A_PROCESS, MOST_IN_UNIT)
    low = min(rate * SHORTEST_UNIT, per_process, MOST_IN_UNIT)
    if processes == 1:  # nothing to balance
        high = min(rate * LONGEST_UNIT, MOST_IN_UNIT)
    high = max(high, low)
    if low <= given <= high or (processes == 1 and given <= high):
        return given
    wanted = high if given > high else low
    batches = int(wanted // batch) if given > high else -(-int(wanted) // batch)
    return max(1, batches) * batch
