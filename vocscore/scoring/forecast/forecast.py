"""The job of `vocscore plan`: measures on a sample, and predicts the run."""

from __future__ import annotations

import math
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING

from vocscore.config.planning import PlanConfig
from vocscore.config.scoring import CEILINGS_AFTER
from vocscore.machine import busy_with_others, usable_cores
from vocscore.scoring.ceilings import SAMPLE_IMAGES
from vocscore.scoring.chosen_model import check_model, thresholds_of
from vocscore.scoring.earlier_output import stamped_inputs
from vocscore.scoring.forecast.advice import advice
from vocscore.scoring.forecast.arithmetic import (
    Machine,
    Measured,
    Times,
    advised_unit_size,
    forecast,
)
from vocscore.scoring.forecast.joining import TrialParts
from vocscore.scoring.forecast.plan_report import PlanReport
from vocscore.scoring.forecast.sample import sample_of
from vocscore.scoring.forecast.storage import measure_storage
from vocscore.scoring.forecast.trial import try_out
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.sources import is_url, read_source, source_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.models.card import ModelCard
    from vocscore.scoring.engines import Engine
    from vocscore.scoring.formats.choice import Choice, RowsFormat
    from vocscore.scoring.inputs.units import Inputs

_FIRST_BATCHES, _BATCHES = 1, 8
"""Batches of the first unit of a trial, so that it ends soon, and of the others."""
_BUSY = (
    "the machine may be busy with something else, and then the plan is too pessimistic. Plan again "
    "when it is idle."
)
_SHARE_FOR_TARS, _SHARE_FOR_READING = 0.25, 0.1
"""Of the seconds of a trial."""


def plan(
    source: str | Path,
    output: Path,
    config: PlanConfig | None = None,
    *,
    checkpoint: Path,
    listing: Callable[[int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> PlanReport:
    """Measure on a sample what scoring a source takes, and predict the whole run.

    Nothing is written but temporary files.

    Args:
        source: as for `score`.
        output: the future predictions; its suffix selects the format.
        config: the options.
        checkpoint: folder of a trained network.
        listing: called with the number of files found so far, while a folder is listed.
        on_stage: called with the name of the stage that begins.

    Raises:
        ScoreError: nothing to score, or the model returned NaN.
        CheckpointError, DeviceError, DamageError: the checkpoint, the device or the source cannot
            be used.
    """
    stage = on_stage or (lambda _name: None)
    config = config or PlanConfig()
    began = time.perf_counter()
    choice = choose(output, folder_format=config.output.format)
    card, identity = check_model(checkpoint, config.compute)
    rows_format = _rows_format(choice, card, config)
    checked = time.perf_counter() - began  # PyTorch is loaded, which takes seconds
    busy = busy_with_others()
    stage("listing inputs")
    started = time.perf_counter()
    globs = Globs(config.inputs.include, config.inputs.exclude)
    inputs = read_source(source, globs=globs, listing=listing)
    inputs.digest()  # as a run does
    listed = time.perf_counter()
    stage("loading the model")
    from vocscore.scoring.engines.opened import open_here

    used = open_here(
        config.scoring, card, checkpoint=checkpoint, identity=identity, images=inputs.images
    )
    engine, opener = used.engine, used.opener
    opened = time.perf_counter()
    on_gpu = opener.device.startswith("cuda")
    with closing(engine), ExitStack() as held:
        measured = _measure(
            engine,
            stamped_inputs(inputs, config.scoring, choice),
            config,
            parts=partial(TrialParts, rows_format=rows_format, joined=not choice.folder),
            times=Times(listing=listed - started, start=checked + opened - listed),
            machine=Machine(usable_cores(), used.devices if on_gpu else 0),
            remote=is_url(source),
            stage=stage,
            held=held,
        )
    given = config.inputs.unit_size
    processes = config.planning.processes
    size = advised_unit_size(measured, processes, given=given)
    planned = forecast(measured, config.planning, unit_size=size)
    return PlanReport(
        source=source_name(source),
        output=output,
        device=opener.device,
        precision=opener.precision,
        measured=measured,
        planned=planned,
        alone=forecast(measured, replace(config.planning, processes=1), unit_size=size),
        unit_size=size if measured.tars is None else None,
        advice=advice(measured, planned, precision=opener.precision),
        problems=(*inputs.problems, *([f"{busy}: {_BUSY}"] if busy else [])),
    )


def _rows_format(choice: Choice, card: ModelCard, config: PlanConfig) -> RowsFormat:
    written = config.output
    return choice.open(
        card.classes,
        thresholds_of(card, written.thresholds_file),
        selection=Selection(
            written.columns, written.top_k, written.min_probability, written.decimals
        ),
        origin={"vocscore": version("vocscore")},
        activation=card.activation,
    )


def _measure(
    engine: Engine,
    inputs: Inputs,
    config: PlanConfig,
    *,
    parts: Callable[[Path], TrialParts],
    times: Times,
    machine: Machine,
    remote: bool,
    stage: Callable[[str], None],
    held: ExitStack,
) -> Measured:
    """Read, score and write images of a sample, each time others."""
    seconds, batch_size = config.planning.seconds, config.decode.batch_size
    stage("reading a sample")
    sample = sample_of(inputs, seconds=seconds * _SHARE_FOR_TARS)
    held.callback(sample.close)
    storage = sample.fetched or measure_storage(
        sample.refs(), max_pixels=config.decode.max_pixels, seconds=seconds * _SHARE_FOR_READING
    )
    stage("scoring a sample")
    sizes = chain([_FIRST_BATCHES * batch_size], repeat(_BATCHES * batch_size))
    with tempfile.TemporaryDirectory(prefix="vocscore-") as folder:
        trial_parts = parts(Path(folder))
        trial = try_out(engine, sample.units_of(sizes), seconds=seconds, commit=trial_parts.commit)
        rows = trial_parts.costs()
    stage("measuring the ceilings")
    started = time.perf_counter()
    ceilings = engine.ceilings(list(islice(sample.refs(), SAMPLE_IMAGES)))
    asked = config.output.ceilings
    return Measured(
        images=sample.images,
        counted=sample.counted,
        bytes=sample.bytes or round(storage.bytes_per_image * sample.images),
        tars=sample.tars,
        remote=remote,
        machine=machine,
        batch_size=batch_size,
        times=replace(
            times,
            start=times.start + trial.delay,
            ceilings=time.perf_counter() - started,
            ceilings_after=CEILINGS_AFTER if asked is None else 0.0 if asked else math.inf,
        ),
        trial=trial,
        storage=storage,
        ceilings=ceilings,
        rows=rows,
    )
