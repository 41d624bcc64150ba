"""Scores a source: units to parts, parts to the output."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shards.file_kinds import count
from vocscore.scoring.bad.bad_inputs import BadInputs
from vocscore.scoring.bad.quarantine import Quarantine, refuse_inside
from vocscore.scoring.inputs.globs import EVERYTHING as ALL
from vocscore.scoring.inputs.sources import read_source, source_name
from vocscore.scoring.output.describe import describe
from vocscore.scoring.output.formats.choice import choose
from vocscore.scoring.output.formats.selection import EVERYTHING
from vocscore.scoring.output.ledger import open_ledger, refuse_existing, work_folder
from vocscore.scoring.scoring import Scoring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vocscore.models.card import ModelCard
    from vocscore.scoring.inputs.globs import Globs
    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.output.formats.selection import Selection
    from vocscore.scoring.output.ledger import Ledger
    from vocscore.scoring.scoring import Progress
    from vocscore.scoring.walls import Ceilings, Reached


@dataclass(frozen=True)
class ScoreReport:
    """What scoring came to.

    Attributes:
        images: rows of the output.
        resumed: how many of them an earlier run had scored.
        reasons: reason -> rows with that error.
        skipped: files of the source, and members of its tars, that are no images.
        problems: damage that is not the fault of one image, a line each.
        seconds: of this run, from the first image to the finished output; listing and loading
            came before.
        output: where the rows are.
        ceilings: how fast the machine is at most; None where that was not measured.
        skipped_kinds: how many of what was skipped there are of each kind (a suffix, hidden files).
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

    @property
    def errors(self) -> int:
        """Rows with an error."""
        return sum(self.reasons.values())

    @property
    def all_bad(self) -> bool:
        """Whether there is no row without an error."""
        return self.images > 0 and self.errors == self.images

    @property
    def images_per_second(self) -> float:
        """Images of this run over its seconds, decoding, scoring, committing and merging."""
        return (self.images - self.resumed) / max(self.seconds, 1e-9)

    @property
    def reached(self) -> Reached | None:
        """The rate beside the ceilings; None where these were not measured."""
        if self.ceilings is None:
            return None
        good = 1 - self.errors / max(self.images, 1)
        return self.ceilings.reached(self.images_per_second, good=good)

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the rate, the errors and, where measured, the wall."""
        value = {**asdict(self), "output": str(self.output), "errors": self.errors}
        value["images_per_second"] = self.images_per_second
        if self.reached is not None:
            value.update(self.reached.to_json())
        return value


def score(
    source: str | Path,
    output: Path,
    *,
    checkpoint: Path,
    loader: str,
    device: str,
    devices: Sequence[str] = (),
    precision: str,
    batch_size: int,
    unit_size: int,
    threads: int,
    overwrite: bool,
    max_pixels: int,
    folder_format: str | None = None,
    selection: Selection = EVERYTHING,
    globs: Globs = ALL,
    max_bad: float | None = None,
    quarantine: Path | None = None,
    ceilings_after: float | None = None,
    command: str | None = None,
    progress: Progress | None = None,
    listing: Callable[[int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> ScoreReport:
    """Write one row for every image of a source.

    Stopped for whatever reason, the same call goes on where it stopped; on the same machine and
    with the same libraries, the output's bytes are those of a run that was not stopped.

    Args:
        source: as for `read_source`; text where it may be a URL, which is refused by its name.
        output: a `.csv`, `.parquet` or `.jsonl`, or with `folder_format` a folder of parts; it
            appears when it is complete.
        checkpoint: the folder of a trained network.
        loader: as for `open_loader`.
        device: as for `resolve_device`.
        devices: as for `resolve_devices`; units run on each, in processes of their own (spawned:
            a script that calls this needs `if __name__ == "__main__":`). `device` does not count
            then. The output does not depend on how many there are.
        precision: as for `resolve_precision`.
        batch_size: images decoded together. On a CPU it does not change a bit of the output; on
            a GPU it is the network's batch too, and may change the last bits.
        unit_size: files that are committed together; a tar is one unit.
        threads: that read and decode, in all processes together; at least one in each.
        overwrite: replace an output that is there, and an unfinished run with other settings.
        max_pixels: width times height of an image that is still decoded.
        folder_format: as for `choose`.
        selection: what is written of each image.
        globs: which images of the source are inputs.
        max_bad: the share of bad inputs, 0 to 1, beyond which `BadInputs` stops; None never stops.
        quarantine: a folder outside the source, for copies of the bad inputs; None makes none.
        ceilings_after: a run of at least so many seconds ends with some more, in which the
            ceilings are measured; None never does.
        command: as it was typed, for the record beside the output.
        progress: called with the rows done, all rows (an estimate where the source does not
            tell), and the errors so far.
        listing: called with the files found so far, while a folder is listed.
        on_stage: called with what begins, in words.

    Raises:
        StoppedOnPurposeError: more bad inputs than `max_bad` allows; finished units are kept.
        ScoreError: nothing to score, the output cannot be made, or an unfinished run is another.
        CheckpointError, DeviceError, DamageError: from what is opened.
        RowsError: a row was lost or doubled; a fault of this program.
    """
    stage = on_stage or (lambda _name: None)
    choice = choose(output, folder_format=folder_format)
    if not work_folder(output).exists():  # else only the ledger can tell whose it is
        refuse_existing(output, overwrite=overwrite, folder=choice.folder)
    card, identity = check_model(checkpoint, device=device, devices=devices, precision=precision)
    stage("listing inputs")
    inputs = read_source(source, globs=globs, listing=listing)
    source = Path(source)
    kept = None if quarantine is None else _quarantine(quarantine, source, inputs)

    stage("loading the model")  # and torch with it: what could be refused was refused above
    from vocscore.runtime import resolve_device
    from vocscore.runtime.precision import resolve_precision
    from vocscore.scoring.engines.opening import EngineOpener, open_workers, resolve_devices

    several = resolve_devices(devices)
    where = several[0] if several else resolve_device(device)
    opener = EngineOpener(
        checkpoint=checkpoint,
        identity=identity,
        loader=loader,
        device=where,
        precision=resolve_precision(precision, card, device=where),
        batch_size=batch_size,
        threads=threads,
        max_pixels=max_pixels,
    )
    origin = {
        "vocscore": version("vocscore"),
        "checkpoint": opener.identity,
        "preprocess": card.preprocess.to_json(),
    }
    rows_format = choice.open(
        card.classes, card.decision_threshold, selection=selection, origin=origin
    )
    engine = open_workers(opener, several) if several else opener.open()
    # Everything that decides the bytes of the output.
    plan = {
        **origin,
        "source": source_name(source),
        "listing": inputs.digest(),
        "include": list(globs.include),
        "exclude": list(globs.exclude),
        "unit_size": unit_size,
        "threshold": card.decision_threshold,
        "maker": engine.loader,
        "device": where.partition(":")[0],
        "precision": opener.precision,
        "max_pixels": max_pixels,
        "output": {**choice.to_json(), **selection.to_json()},
    }
    with (
        closing(engine),
        open_ledger(
            output, plan, suffix=rows_format.suffix, overwrite=overwrite, folder=choice.folder
        ) as ledger,
    ):
        resumed, started = _rows(ledger), time.monotonic()
        record = describe(
            plan, ledger, card=card, checkpoint=checkpoint, source=source, command=command
        )
        scoring = Scoring(
            inputs,
            ledger,
            unit_size=unit_size,
            rows_format=rows_format,
            progress=progress,
            bad=BadInputs(ledger, max_bad=max_bad, quarantine=kept),
            record=record,
            on_stage=stage,
        )
        scoring.run(engine)
        seconds = time.monotonic() - started
        report = _report(inputs, ledger, resumed=resumed, seconds=seconds, output=output)
        if ceilings_after is None or seconds < ceilings_after:
            return report
        stage("measuring the ceilings")
        sample = next(inputs.units(unit_size)).read().images
        return replace(report, ceilings=engine.ceilings(sample))


def check_model(
    checkpoint: Path, *, device: str, devices: Sequence[str], precision: str
) -> tuple[ModelCard, str]:
    """Refuse a model that cannot be scored with, before torch is loaded and inputs are listed.

    Args:
        checkpoint: as for `score`.
        device: as for `score`.
        devices: as for `score`.
        precision: as for `score`.

    Returns:
        The model's card and its hash.

    Raises:
        CheckpointError: it is no checkpoint, or has no int8 model where that is asked for.
        DeviceError, ScoreError: no machine has such a device, or it does not compute in int8.
    """
    from vocscore.models.card import checkpoint_hash, load_card
    from vocscore.runtime.int8 import check_kind, quantized
    from vocscore.scoring.engines.opening import check_devices

    card = load_card(checkpoint)
    kinds = check_devices(devices or (device,))
    identity = checkpoint_hash(checkpoint)
    if precision == "int8":
        for kind in kinds:
            check_kind(kind)
        quantized(checkpoint, identity=identity)
    return card, identity


def _quarantine(folder: Path, source: Path, inputs: Inputs) -> Quarantine:
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
