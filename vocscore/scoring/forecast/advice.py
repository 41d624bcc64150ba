"""What would make a planned run faster, cheaper or safer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vocscore.scoring.forecast.arithmetic import BYTES_A_RANGE, UNITS_A_PROCESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vocscore.scoring.forecast.arithmetic import Forecast, Measured

LONG: Final = 4 * 3600.0
"""Seconds of a run from which more processes are suggested, so that it takes an hour."""
MANY_REQUESTS: Final = 10_000
MOSTLY: Final = 0.3
"""Share of the time for starting from which fewer processes do."""
COMMITTED: Final = 0.5
"""Share of a core for one process that commits the units of all, from which it may bind."""


def advice(measured: Measured, planned: Forecast, *, precision: str) -> tuple[str, ...]:
    """Return suggestions, one line each, the most important first.

    Args:
        measured: how fast one process is.
        planned: the run.
        precision: of the network.
    """
    return (
        *_about_bad_images(measured),
        *_about_inputs(measured),
        *_about_the_stage(measured, precision),
        *_about_processes(measured, planned),
    )


def _about_bad_images(measured: Measured) -> Iterator[str]:
    if measured.trial.images and measured.trial.errors == measured.trial.images:
        yield (
            "no image of the sample could be decoded, so good ones would take longer than planned. "
            "Is this the right source? Score some of it (`include`) to see the reasons."
        )


def _about_inputs(measured: Measured) -> Iterator[str]:
    if measured.remote and measured.tars is None and measured.images >= MANY_REQUESTS:
        fewer = -(-measured.bytes // BYTES_A_RANGE)
        yield (
            f"every image is a request of its own: {measured.images:,} of them. The same images in "
            f"tars need about {fewer:,}. If they are read more than once, pack them first."
        )


def _about_the_stage(measured: Measured, precision: str) -> Iterator[str]:
    bottleneck, storage = measured.bottleneck, measured.storage
    if bottleneck == "read":
        yield (
            f"the storage binds ({storage.images_per_second:,.0f} images/s). More cores do not "
            "help; a machine nearer to it, or packed shards, may."
        )
    elif bottleneck == "decode":
        yield (
            "decoding binds. Images that are read more than once can be packed at the size of the "
            "network (`resize` of pack), which quarters it; else more cores help, a faster network "
            "does not."
        )
    elif bottleneck == "model" and not measured.machine.gpus and precision != "int8":
        yield (
            "the network binds. On a CPU 'vocscore quantize RUN' and `precision='int8'` are the "
            "fastest; a GPU is faster still."
        )


def _about_processes(measured: Measured, planned: Forecast) -> Iterator[str]:
    processes, fixed = planned.processes, measured.times.listing + measured.times.start
    if processes > planned.units:
        kind = "units" if planned.units > 1 else "unit"
        yield (
            f"there {'are' if planned.units > 1 else 'is'} {planned.units:,} {kind} of work: "
            f"{processes - planned.units:,} of {processes:,} processes have nothing to do."
        )
    if processes > 1 and fixed > MOSTLY * planned.seconds:
        yield (
            f"{fixed / planned.seconds:.0%} of the time is for starting and listing: fewer "
            "processes cost less and take little more time."
        )
    if measured.tars is not None and measured.tars < UNITS_A_PROCESS * processes > UNITS_A_PROCESS:
        yield (
            f"a tar is a unit, and {measured.tars:,} tars are few for {processes:,} processes: "
            "some will wait for others. Smaller shards (`shard_samples` of pack) even it out."
        )
    if planned.seconds > LONG:
        more = round(processes * planned.seconds / 3600)
        yield f"with {more:,} processes it would take about an hour, for the same core hours."
    rate = min(processes, planned.units) * measured.rate
    busy = rate * measured.rows.write if measured.rows else 0.0
    if processes > 1 and busy > COMMITTED:
        yield (
            f"a driver that commits for all processes would be busy {busy:.0%} of the time with "
            "writing rows: let the processes commit by themselves, as tasks of a job do."
        )
