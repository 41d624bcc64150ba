"""Scores a source: writes each unit as a part and joins the parts to the output."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shards.file_kinds import count
from vocscore.config.scoring import CEILINGS_AFTER, ScoreConfig
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
from vocscore.scoring.output.describe import describe
from vocscore.scoring.output.ledger import open_ledger, refuse_existing, work_folder
from vocscore.scoring.scoring import Scoring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vocscore.config.scoring import InferenceConfig
    from vocscore.models.card import ModelCard
    from vocscore.scoring.ceilings import Ceilings, Reached
    from vocscore.scoring.engines.factory import EngineOpener
    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.output.ledger import Ledger
    from vocscore.scoring.scoring import Progress


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

    def __str__(self) -> str:
        """Return images, errors by reason, the rate, and the path of the rows."""
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
        return (self.images - self.resumed) / max(self.seconds, 1e-9)

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
    the output is then byte-identical to that of an uninterrupted run.

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
        ScoreError: nothing to score, the output cannot be written, or there is an unfinished run
            with other settings.
        CheckpointError, DeviceError, DamageError: the checkpoint, the device or the source cannot
            be used.
        RowsError: a row was lost or duplicated: a bug in this program.
    """
    stage = on_stage or (lambda _name: None)
    config = config or ScoreConfig()
    compute, written = config.compute, config.output
    choice = choose(output, folder_format=written.format)
    if not work_folder(output).exists():  # otherwise only the ledger knows which run wrote it
        refuse_existing(output, overwrite=written.overwrite, folder=choice.folder)
    card, identity = check_model(checkpoint, compute)
    threshold = _thresholds(card, written.thresholds_file)
    stage("listing inputs")
    globs = Globs(config.inputs.include, config.inputs.exclude)
    inputs = read_source(source, globs=globs, listing=listing)
    source = Path(source)
    kept = _quarantine(config.limits.quarantine, source, inputs)

    stage("loading the model")  # this imports torch, so cheap checks come before it
    from vocscore.scoring.engines.factory import open_workers

    opener, several = _opener(config, card, checkpoint=checkpoint, identity=identity)
    origin = {
        "vocscore": version("vocscore"),
        "checkpoint": opener.identity,
        "preprocess": card.preprocess.to_json(),
    }
    selection = Selection(written.columns, written.top_k, written.min_probability, written.decimals)
    rows_format = choice.open(card.classes, threshold, selection=selection, origin=origin)
    engine = open_workers(opener, several) if several else opener.open()
    # Everything that determines the bytes of the output.
    plan = {
        **origin,
        "source": source_name(source),
        "listing": inputs.digest(),
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
    with (
        closing(engine),
        open_ledger(
            output,
            plan,
            suffix=rows_format.suffix,
            overwrite=written.overwrite,
            folder=choice.folder,
        ) as ledger,
    ):
        resumed, started = _rows(ledger), time.monotonic()
        record = describe(
            plan, ledger, card=card, checkpoint=checkpoint, source=source, command=command
        )
        scoring = Scoring(
            inputs,
            ledger,
            unit_size=config.inputs.unit_size,
            rows_format=rows_format,
            progress=progress,
            bad=BadInputs(ledger, max_bad=config.limits.max_bad, quarantine=kept),
            record=record,
            on_stage=stage,
        )
        scoring.run(engine)
        seconds = time.monotonic() - started
        report = _report(inputs, ledger, resumed=resumed, seconds=seconds, output=output)
        if not (seconds >= CEILINGS_AFTER if written.ceilings is None else written.ceilings):
            return report
        stage("measuring the ceilings")
        sample = next(inputs.units(config.inputs.unit_size)).read().images
        return replace(report, ceilings=engine.ceilings(sample))


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


def _opener(
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


def _thresholds(card: ModelCard, file: Path | None) -> float | Sequence[float]:
    """The thresholds of the labels: the model's, or those of a file for the classes in it."""
    own = card.decision_threshold
    if file is None:
        return own
    given = read_thresholds(file, card.classes)
    every = [own] * len(card.classes) if isinstance(own, (int, float)) else own
    return [given.get(name, value) for name, value in zip(card.classes, every, strict=True)]


def _quarantine(folder: Path | None, source: Path, inputs: Inputs) -> Quarantine | None:
    if folder is None:
        return None
    refuse_inside(folder, source)
    globs = {"include": list(inputs.globs.include), "exclude": list(inputs.globs.exclude)}
    run = {"source": source_name(source), "listing": inputs.digest(), **globs}
    return Quarantine(folder, run=run)


def _rows(ledger: Ledger) -> int:
    return sum(record.rows for record in ledger.records.values())


def _report(
    inputs: Inputs, ledger: Ledger, *, resumed: int, seconds: float, output: Path
) -> ScoreReport:
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
