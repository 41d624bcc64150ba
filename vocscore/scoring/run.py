"""Scores a source: writes each unit as a part and joins the parts to the output."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from vocscore.config.scoring import ScoreConfig
from vocscore.config.tta import sizes_of
from vocscore.scoring.bad_inputs.bad_inputs import BadInputs
from vocscore.scoring.bad_inputs.quarantine import Quarantine, refuse_inside
from vocscore.scoring.chosen_model import check_model, thresholds_of
from vocscore.scoring.earlier_output import earlier_output, stamped_inputs
from vocscore.scoring.engines.more_processes import with_more_processes
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.features_format import features_of
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.packed import refuse_other_raw
from vocscore.scoring.inputs.sources import given_name, read_source, source_name
from vocscore.scoring.output.describe import describe
from vocscore.scoring.output.earlier import refuse_other
from vocscore.scoring.output.features_parts import facts, refuse_lost
from vocscore.scoring.output.ledger import open_ledger, standing_plan
from vocscore.scoring.plan import begun_precision, plan_of
from vocscore.scoring.score_report import (
    ScoreReport,
    complete_report,
    report_of,
    rows_of,
    with_ceilings,
)
from vocscore.scoring.scoring import Scoring
from vocscore.scoring.update.merging import UpdatedFormat
from vocscore.scoring.update.reuse import plan_reuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from vocscore.records.score_record import ScoreRecord
    from vocscore.scoring.formats.choice import Choice
    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.scoring import Progress


def score(
    source: str | Path,
    output: Path,
    config: ScoreConfig | None = None,
    *,
    checkpoint: Path,
    command: str | None = None,
    progress: Progress | None = None,
    listing: Callable[[int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
    may_spawn: bool = False,
) -> ScoreReport:
    """Write one row for every image of a source.

    An interrupted run is resumed by the same call. On the same machine and with the same libraries,
    the output is then byte-identical to that of an uninterrupted run. If the output is finished and
    is what the call would write, nothing is done.

    Args:
        source: as for `read_source`; pass a URL as str, so that the error can name it.
        output: a `.csv`, `.parquet` or `.jsonl` file, or with `output.format` a folder of parts; it
            appears when it is complete.
        config: the options. With several devices, units run in spawned processes: a script that
            calls this needs `if __name__ == "__main__":`.
        checkpoint: folder of a trained network.
        command: the command line as typed, for the record beside the output.
        progress: called with the rows done, the total (an estimate if the source does not
            state it), and the errors so far.
        listing: called with the number of files found so far, while a folder is listed.
        on_stage: called with the name of the stage that begins.
        may_spawn: start more processes where they pay (`with_more_processes`); the same condition
            holds for the script.

    Raises:
        StoppedOnPurposeError: more bad inputs than `max_bad` allows; finished units are kept.
        ScoreError: nothing to score, the output cannot be written, there is an unfinished run
            with other settings, or an output that differs or cannot be updated.
        CheckpointError, DeviceError, DamageError: the checkpoint, the device or the source cannot
            be used.
        RowsError: a row was lost or duplicated: a bug in this program.
    """
    stage = on_stage or (lambda _name: None)
    config = config or ScoreConfig()
    compute, written = config.compute, config.output
    choice = choose(output, folder_format=written.format)
    earlier = earlier_output(output, choice, config, source=source)
    card, identity = check_model(checkpoint, compute, here=config.cluster.on is None)
    threshold = thresholds_of(card, written.thresholds_file)
    stage("listing inputs")
    globs = Globs(config.inputs.include, config.inputs.exclude)
    inputs = read_source(source, globs=globs, listing=listing)
    refuse_other_raw(inputs, card.preprocess, sizes_of(compute.views, card.preprocess.size))
    kept = quarantine_of(config.limits.quarantine, source, inputs)
    known = {
        "vocscore": version("vocscore"),
        "checkpoint": identity,
        "source": source_name(source),
        "listing": inputs.digest(),
        "unit_size": config.inputs.unit_size,
        "threshold": threshold,
    }
    may_differ = ("listing",) if config.update.update else ()
    if earlier is not None:
        refuse_other(output, earlier, known, but=may_differ)
    features = facts(written.features, output, dtype=written.features_dtype)

    stage("loading the model")  # this imports torch, so cheap checks come before it
    from vocscore.scoring.engines.opened import open_engine

    origin = {
        "vocscore": known["vocscore"],
        "checkpoint": identity,
        "preprocess": card.preprocess.to_json(),
    }
    selection = Selection(written.columns, written.top_k, written.min_probability, written.decimals)
    rows_format = choice.open(
        card.classes,
        threshold,
        selection=selection,
        origin=origin,
        activation=card.activation,
    )
    opened = open_engine(
        config,
        card,
        checkpoint=checkpoint,
        identity=identity,
        inputs=inputs,
        stage=stage,
        begun=_begun(output, earlier, known, choice),
    )
    with ExitStack() as held:
        held.enter_context(closing(opened.engine))
        plan = plan_of(
            config,
            {**origin, **known, "checkpoint": identity},
            globs=globs,
            loader=opened.engine.loader,
            opener=opened.opener,
            output={**choice.described(selection, card.classes), **features},
        )
        reuse, plan_of_update = None, config.update.plan()
        if earlier is not None:
            refuse_other(output, earlier, {"tta": None, **plan}, but=may_differ)
            if not config.update.update:
                refuse_lost(output, earlier)
                return complete_report(inputs, earlier, output)
            stage("comparing inputs")
            reuse = plan_reuse(
                output,
                earlier,
                inputs,
                by=config.update.update_by,
                keep_removed=config.update.keep_removed,
                listing=listing,
            )
            if reuse.is_nothing:
                return complete_report(inputs, earlier, output, reuse)
            inputs, plan_of_update = reuse.inputs, dict(reuse.plan)
            rows_format = UpdatedFormat(rows_format, reuse, unit_size=config.inputs.unit_size)
        plan.update(opened.described)  # what a finished output may differ in
        inputs = stamped_inputs(inputs, config, choice)
        ledger = held.enter_context(
            open_ledger(
                output,
                {**plan, **({"update": plan_of_update} if plan_of_update else {})},
                suffix=rows_format.suffix,
                overwrite=written.overwrite or reuse is not None,
                discard=written.overwrite,
                folder=choice.folder,
                features=features_of(
                    written, origin={**origin, "precision": opened.opener.precision}
                ),
            )
        )
        opened = with_more_processes(
            *(opened, config, card.preprocess),
            allowed=may_spawn,
            inputs=inputs,
            done=rows_of(ledger),
            held=held,
            stage=stage,
        )
        resumed, started = rows_of(ledger), time.monotonic()
        scoring = Scoring(
            inputs,
            ledger,
            unit_size=config.inputs.unit_size,
            rows_format=rows_format,
            progress=progress,
            bad=BadInputs(
                ledger,
                max_bad=config.limits.max_bad,
                quarantine=kept,
                reused=reuse.stay if reuse else 0,
            ),
            record=describe(
                plan,
                ledger,
                card=card,
                checkpoint=checkpoint,
                source=given_name(source),
                command=command,
                update=None if reuse is None else reuse.counts,
            ),
            on_stage=stage,
            reuse=reuse,
        )
        scoring.run(opened.engine)
        seconds = time.monotonic() - started
        report = report_of(inputs, ledger, resumed=resumed, seconds=seconds, output=output)
        report = replace(
            report,
            features=written.features,
            tta=config.compute.tta,
            precision=opened.chosen,
            processes=opened.processes,
            problems=(*report.problems, *opened.notices),
            gpu=opened.gpu,
        )
        if reuse is not None:
            report = replace(report, images=report.images + reuse.stay, update=reuse.counts)
        if not report.images - resumed - (reuse.stay if reuse else 0):
            return report
        return with_ceilings(report, opened.engine, inputs, config, stage=stage)


def _begun(
    output: Path, earlier: ScoreRecord | None, known: Mapping[str, Any], choice: Choice
) -> str | None:
    """The precision of the finished or unfinished run that this one continues."""
    if earlier is not None:
        return earlier.model.precision
    suffix = f".{choice.name}"
    return begun_precision(standing_plan(output, suffix=suffix, folder=choice.folder), known)


def quarantine_of(folder: Path | None, source: str | Path, inputs: Inputs) -> Quarantine | None:
    """Open the folder for bad inputs, if there is one.

    Raises:
        ScoreError: it is in the source, or in use for something else.
    """
    if folder is None:
        return None
    refuse_inside(folder, source)
    globs = {"include": list(inputs.globs.include), "exclude": list(inputs.globs.exclude)}
    run = {"source": source_name(source), "listing": inputs.digest(), **globs}
    return Quarantine(folder, run=run)
