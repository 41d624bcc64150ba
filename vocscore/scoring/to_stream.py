"""Scores a source to a stream: rows only, without parts, record or resume."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from vocscore.config.scoring import ScoreConfig
from vocscore.errors import OptionError
from vocscore.scoring.bad_inputs.bad_inputs import BadInputs
from vocscore.scoring.chosen_model import check_model, thresholds_of
from vocscore.scoring.formats.choice import choose_stream
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.sources import read_source
from vocscore.scoring.output.rows_stream import RowsStream
from vocscore.scoring.run import quarantine_of
from vocscore.scoring.score_report import report_of, with_ceilings
from vocscore.scoring.scoring import Scoring

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.scoring.score_report import ScoreReport
    from vocscore.scoring.scoring import Progress


def score_to_stream(
    source: str | Path,
    stream: BinaryIO,
    config: ScoreConfig | None = None,
    *,
    checkpoint: Path,
    progress: Progress | None = None,
    listing: Callable[[int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> ScoreReport:
    """Write the rows that `run.score` writes, unit by unit as they are finished.

    Args:
        source: as for `run.score`.
        stream: receives CSV, or the lines of `output.format`; it is not closed.
        config: the options.
        checkpoint: folder of a trained network.
        progress: as for `run.score`.
        listing: as for `run.score`.
        on_stage: as for `run.score`.

    Raises:
        ReaderLeftError: nobody reads the stream any more.
        StoppedOnPurposeError: more bad inputs than `max_bad` allows; their rows were written.
        OptionError: an option needs a file.
        ScoreError, CheckpointError, DeviceError, DamageError, RowsError: as for `run.score`.
    """
    stage = on_stage or (lambda _name: None)
    config = config or ScoreConfig()
    written = config.output
    if written.overwrite or config.update.update:
        raise OptionError(
            "`overwrite` and `update` need a file. Name one with `output`, or omit them."
        )
    if config.jobs.units is not None:
        raise OptionError("`units` needs a file that the jobs share. Name one with `output`.")
    if written.features is not None:
        raise OptionError(
            "`features` needs predictions in a file, which can be resumed. Name one with "
            "`output`, or omit it."
        )
    choice = choose_stream(written.format)
    card, identity = check_model(checkpoint, config.compute, here=config.cluster.on is None)
    threshold = thresholds_of(card, written.thresholds_file)
    stage("listing inputs")
    globs = Globs(config.inputs.include, config.inputs.exclude)
    inputs = read_source(source, globs=globs, listing=listing)
    quarantine = quarantine_of(config.limits.quarantine, source, inputs)

    stage("loading the model")  # this imports torch, so cheap checks come before it
    from vocscore.scoring.engines.opened import open_engine

    selection = Selection(written.columns, written.top_k, written.min_probability, written.decimals)
    rows_format = choice.open(
        card.classes,
        threshold,
        selection=selection,
        origin={"vocscore": version("vocscore")},
        activation=card.activation,
    )
    opened = open_engine(
        config, card, checkpoint=checkpoint, identity=identity, inputs=inputs, stage=stage
    )
    with (
        closing(opened.engine) as engine,
        RowsStream(stream, header=lambda file: rows_format.merge(file, ())) as rows,
    ):
        started = time.monotonic()
        scoring = Scoring(
            inputs,
            rows,
            unit_size=config.inputs.unit_size,
            rows_format=rows_format,
            progress=progress,
            bad=BadInputs(rows, max_bad=config.limits.max_bad, quarantine=quarantine),
            on_stage=stage,
        )
        scoring.run(engine)
        seconds = time.monotonic() - started
        report = report_of(inputs, rows, resumed=0, seconds=seconds, output=Path("-"))
        report = replace(report, tta=config.compute.tta, precision=opened.chosen, gpu=opened.gpu)
        report = replace(report, problems=(*report.problems, *opened.notices))
        return with_ceilings(report, engine, inputs, config, stage=stage)
