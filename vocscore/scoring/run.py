"""Scores a source: writes each unit as a part and joins the parts to the output."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shards.file_kinds import count
from vocscore.config.scoring import CEILINGS_AFTER, ScoreConfig
from vocscore.errors import ScoreError
from vocscore.machine import usable_cores
from vocscore.printed import Printed
from vocscore.records.keys import stored, stored_loader
from vocscore.records.thresholds_file import read_thresholds
from vocscore.scoring.bad_inputs.bad_inputs import BadInputs
from vocscore.scoring.bad_inputs.quarantine import Quarantine, refuse_inside
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.sources import read_source, source_name
from vocscore.scoring.inputs.units import LooseFiles
from vocscore.scoring.output.describe import describe
from vocscore.scoring.output.earlier import finished_record, refuse_other
from vocscore.scoring.output.ledger import open_ledger, refuse_existing, settle, work_folder
from vocscore.scoring.scoring import Scoring
from vocscore.scoring.update.merging import UpdatedFormat
from vocscore.scoring.update.reuse import loose, plan_reuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vocscore.config.scoring import InferenceConfig
    from vocscore.models.card import ModelCard
    from vocscore.records.score_record import ScoreRecord
    from vocscore.scoring.ceilings import Ceilings, Reached
    from vocscore.scoring.engines.factory import EngineOpener
    from vocscore.scoring.formats.choice import Choice
    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.output.destination import Destination
    from vocscore.scoring.scoring import Progress
    from vocscore.scoring.update.reuse import Reuse


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

    def __str__(self) -> str:
        """Return images, errors by reason, the rate, and the path of the rows."""
        if self.complete:
            return (
                f"{self.output}: already complete ({self.images} rows, {self.errors} errors), "
                "nothing to do"
            )
        reasons = ", ".join(f"{n} {reason}" for reason, n in self.reasons.items())
        return (
            f"{self.images} images, {self.errors} errors{f' ({reasons})' if reasons else ''}, "
            f"{self.images_per_second:.1f} images/s: {self.output}"
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
        value["images_per_second"] = self.images_per_second
        if self.reached is not None:
            value.update(self.reached.to_json())
        return value


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
    earlier = _earlier(output, choice, config)
    card, identity = check_model(checkpoint, compute)
    threshold = thresholds_of(card, written.thresholds_file)
    stage("listing inputs")
    globs = Globs(config.inputs.include, config.inputs.exclude)
    inputs = read_source(source, globs=globs, listing=listing)
    source = Path(source)
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

    stage("loading the model")  # this imports torch, so cheap checks come before it
    from vocscore.scoring.engines.factory import open_workers

    opener, several = opener_of(config, card, checkpoint=checkpoint, identity=identity)
    origin = {
        "vocscore": known["vocscore"],
        "checkpoint": opener.identity,
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
    engine = open_workers(opener, several) if several else opener.open()
    # Everything that determines the bytes of the output.
    plan = {
        **origin,
        "source": known["source"],
        "listing": known["listing"],
        "include": list(globs.include),
        "exclude": list(globs.exclude),
        "unit_size": config.inputs.unit_size,
        "threshold": threshold,
        "maker": stored_loader(engine.loader),
        "device": opener.device.partition(":")[0],
        "precision": opener.precision,
        "max_pixels": config.decode.max_pixels,
        "output": choice.described(selection, card.classes),
    }
    with ExitStack() as held:
        held.enter_context(closing(engine))
        reuse, plan_of_update = None, config.update.plan()
        if earlier is not None:
            refuse_other(output, earlier, plan, but=may_differ)
            if not config.update.update:
                return _complete(inputs, earlier, output)
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
                return _complete(inputs, earlier, output, reuse)
            inputs, plan_of_update = reuse.inputs, dict(reuse.plan)
            rows_format = UpdatedFormat(rows_format, reuse, unit_size=config.inputs.unit_size)
        inputs = _stamped(inputs, config, choice)
        ledger = held.enter_context(
            open_ledger(
                output,
                {**plan, **({"update": plan_of_update} if plan_of_update else {})},
                suffix=rows_format.suffix,
                overwrite=written.overwrite or reuse is not None,
                discard=written.overwrite,
                folder=choice.folder,
            )
        )
        resumed, started = _rows(ledger), time.monotonic()
        record = describe(
            plan,
            ledger,
            card=card,
            checkpoint=checkpoint,
            source=source,
            command=command,
            update=None if reuse is None else reuse.counts,
        )
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
            record=record,
            on_stage=stage,
            reuse=reuse,
        )
        scoring.run(engine)
        seconds = time.monotonic() - started
        report = report_of(inputs, ledger, resumed=resumed, seconds=seconds, output=output)
        if reuse is not None:
            report = replace(report, images=report.images + reuse.stay, update=reuse.counts)
        if not report.images - resumed - (reuse.stay if reuse else 0):
            return report
        if not (seconds >= CEILINGS_AFTER if written.ceilings is None else written.ceilings):
            return report
        stage("measuring the ceilings")
        sample = next(inputs.units(config.inputs.unit_size)).read().images
        return replace(report, ceilings=engine.ceilings(sample))


def _earlier(output: Path, choice: Choice, config: ScoreConfig) -> ScoreRecord | None:
    """Return the record of a finished output that is not to be replaced as a whole.

    Raises:
        ScoreError: there is one that cannot be recognized, or that cannot be updated.
    """
    update, overwrite = config.update.update, config.output.overwrite
    if update and choice.folder:
        raise ScoreError(
            f"{output}: --update is not supported for a folder of parts. Omit --format and write "
            "one file."
        )
    settle(output, suffix=f".{choice.name}", folder=choice.folder)
    if update:
        return finished_record(output, folder=False, update=True)
    if work_folder(output).exists():  # only the ledger knows which run wrote it
        return None
    refuse_existing(output, overwrite=True, folder=choice.folder)
    return None if overwrite else finished_record(output, folder=choice.folder)


def _stamped(inputs: Inputs, config: ScoreConfig, choice: Choice) -> Inputs:
    """Have sizes and times of loose files recorded, if the output is one file."""
    if not config.update.update:
        plain = isinstance(inputs, LooseFiles) and not choice.folder
        return replace(loose(inputs), stamps="size") if plain else inputs
    return replace(loose(inputs), stamps="hash" if config.update.update_by == "hash" else "size")


def check_model(checkpoint: Path, compute: InferenceConfig) -> tuple[ModelCard, str]:
    """Check that a model can be used for scoring, before importing torch and listing inputs.

    Args:
        checkpoint: as for `score`.
        compute: the devices and the precision.

    Returns:
        The model's card and its hash.

    Raises:
        CheckpointError: not a checkpoint, or int8 is requested and it has no int8 model.
        DeviceError, ScoreError: there is no such device, or it does not compute in int8.
    """
    from vocscore.models.card import load_card
    from vocscore.models.checkpoint_files import hold, read_checkpoint
    from vocscore.runtime.int8 import check_kind, quantized
    from vocscore.scoring.engines.factory import check_devices

    load_card(checkpoint)  # before the weights, which may be large
    kinds = check_devices(compute.devices or (compute.device,))
    files = read_checkpoint(checkpoint)
    if compute.precision == "int8":
        for kind in kinds:
            check_kind(kind)
        quantized(checkpoint, identity=files.identity)
    if not compute.devices:  # workers read them in their own processes
        hold(files)
    return files.card, files.identity


def opener_of(
    config: ScoreConfig, card: ModelCard, *, checkpoint: Path, identity: str
) -> tuple[EngineOpener, tuple[str, ...]]:
    """Return what opens an engine, and the devices of several; () for one in this process."""
    from vocscore.runtime import resolve_device
    from vocscore.runtime.precision import resolve_precision
    from vocscore.scoring.engines.factory import EngineOpener, resolve_devices

    several = resolve_devices(config.compute.devices)
    where = several[0] if several else resolve_device(config.compute.device)
    opener = EngineOpener(
        checkpoint=checkpoint,
        identity=identity,
        loader=config.compute.loader,
        device=where,
        precision=resolve_precision(config.compute.precision, card, device=where),
        batch_size=config.decode.batch_size,
        threads=config.compute.workers or usable_cores(),
        max_pixels=config.decode.max_pixels,
    )
    return opener, several


def thresholds_of(card: ModelCard, file: Path | None) -> float | Sequence[float]:
    """The thresholds of the labels: the model's, or those of a file for the classes in it."""
    own = card.decision_threshold
    if file is None:
        return own
    given = read_thresholds(file, card.classes)
    every = [own] * len(card.classes) if isinstance(own, (int, float)) else own
    return [given.get(name, value) for name, value in zip(card.classes, every, strict=True)]


def quarantine_of(folder: Path | None, source: Path, inputs: Inputs) -> Quarantine | None:
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


def _rows(ledger: Destination) -> int:
    return sum(record.rows for record in ledger.records.values())


def _complete(
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
        images=_rows(ledger),
        resumed=resumed,
        reasons=dict(sorted(reasons.items())),
        skipped=sum(skipped.values()),
        skipped_kinds=dict(sorted(skipped.items())),
        problems=(*inputs.problems, *(line for record in records for line in record.problems)),
        seconds=seconds,
        output=output,
    )
