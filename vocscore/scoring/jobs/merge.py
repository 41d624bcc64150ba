"""Writes the output of jobs: the last step, when every unit has a mark."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from vocscore.config.jobs import MergeConfig
from vocscore.errors import RecordError, ScoreError
from vocscore.records.input_stamps import stamps_hash
from vocscore.records.score_record import ScoreRecord, read_record, record_file
from vocscore.scoring.bad_inputs.bad_inputs import BadInputs
from vocscore.scoring.bad_inputs.quarantine import Quarantine, refuse_inside
from vocscore.scoring.formats.choice import Choice
from vocscore.scoring.formats.features_format import features_format
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.jobs.missing import different, unfinished
from vocscore.scoring.jobs.stores import open_store
from vocscore.scoring.output.features_parts import BYTES, KEY
from vocscore.scoring.output.ledger import Ledger
from vocscore.scoring.output.marked_run import PARTS
from vocscore.scoring.output.mirrored import refresh
from vocscore.scoring.output.verified import DamagedPartError
from vocscore.scoring.output.work_folder import work_folder
from vocscore.scoring.score_report import ScoreReport, report_of
from vocscore.scoring.scoring import Scoring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vocscore.scoring.formats.choice import RowsFormat
    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.output.mark_store import MarkStore


def merge(
    output: Path,
    config: MergeConfig | None = None,
    *,
    on_stage: Callable[[str], None] | None = None,
) -> ScoreReport:
    """Join what jobs with `--units` have scored to the output, which appears as a whole.

    Args:
        output: as the jobs named it.
        config: the options.
        on_stage: called with the name of the stage that begins.

    Returns:
        The result as of one run; if the output is there already, that.

    Raises:
        UnfinishedError: units are missing; the line says which, and how to score them.
        StoppedOnPurposeError: more bad inputs than `max_bad` allows.
        ScoreError: no job has begun, another merge is under way, or the output cannot be written.
    """
    config = config or MergeConfig()
    stage = on_stage or (lambda _name: None)
    refresh(output)
    probe = open_store(output)
    plan = probe.plan()
    if plan is None and not (work_folder(output) / "done.json").exists():
        return _merged_before(output)
    told = json.loads((work_folder(output) / "done.json").read_bytes()) if plan is None else plan
    if plan is not None and PARTS not in plan:
        raise ScoreError(
            f"{output}: there is an unfinished run of one process, without `units`. Rerun its "
            "command to finish it."
        )
    try:
        choice = Choice(told["output"]["format"], folder=told["output"]["folder"])
        features = told["output"].get(KEY)
    except (KeyError, TypeError, AttributeError) as error:
        raise ScoreError(
            f"{work_folder(output)}: its plan is damaged, or of another version of vocscore: merge "
            "with the version of the jobs."
        ) from error
    store = open_store(
        output,
        suffix=f".{choice.name}",
        folder=choice.folder,
        features_file=None if features is None else output.absolute().parent / features["path"],
    )
    with ExitStack() as held:
        store.publisher.hold(held)
        store.settle()
        if store.plan() is None:
            return _merged_before(output)
        merging = _Merging(output, store, told, choice, config)
        return merging.run(stage)


def _merged_before(output: Path) -> ScoreReport:
    """The report on an output that an earlier merge has written."""
    try:
        record = read_record(record_file(output))
    except RecordError:
        record = None
    if record is None or not output.exists():
        raise ScoreError(
            f"{output}: there is nothing to merge: no job with `units` has begun to score into "
            f"{work_folder(output)}. Start the jobs first, or name their `output`."
        )
    return ScoreReport(
        images=record.rows,
        resumed=record.rows,
        reasons=dict(record.errors),
        skipped=0,
        problems=(),
        seconds=0.0,
        output=output,
        complete=True,
    )


def _seconds_since(started: str) -> float:
    """Seconds since the first job began; 0 if the clock of its machine is ahead of this one.

    Raises:
        ValueError, TypeError: not a time with its zone.
    """
    return max(0.0, (datetime.now(timezone.utc) - datetime.fromisoformat(started)).total_seconds())


class _Merging:
    """One merge, which no other one of the same output disturbs."""

    def __init__(
        self,
        output: Path,
        store: MarkStore,
        plan: dict[str, Any],
        choice: Choice,
        config: MergeConfig,
    ) -> None:
        self._output, self._store, self._plan = output, store, plan
        self._choice, self._config = choice, config

    def run(self, stage: Callable[[str], None]) -> ScoreReport:
        """Check that every unit is there, and write the output."""
        stage("reading marks")
        store, plan = self._store, self._plan
        store.refuse_existing(overwrite=self._config.output.overwrite)
        inputs = store.run.inputs()
        units = sum(1 for _ in inputs.units(plan["unit_size"]))
        committed = store.committed()
        self._refuse_more(committed, units)
        missing = set(range(units)) - committed
        if missing:
            raise unfinished(store, self._output, missing, units)
        begun = self._begun()
        rows_format = self._format(begun)
        ledger = Ledger(store)
        with self._scored_again(units):
            ledger.records = store.records()
        scoring = Scoring(
            inputs,
            ledger,
            unit_size=plan["unit_size"],
            rows_format=rows_format,
            progress=None,
            bad=BadInputs(
                ledger,
                max_bad=self._config.limits.max_bad,
                quarantine=self._quarantine(inputs),
            ),
            record=lambda size, *, files: self._record(begun, ledger, size, files),
            on_stage=stage,
        )
        notes = different(store.different())
        with self._scored_again(units):
            scoring.merge()
        seconds = _seconds_since(begun.started)
        report = report_of(inputs, ledger, resumed=0, seconds=seconds, output=self._output)
        features = plan["output"].get(KEY)
        return replace(
            report,
            problems=(*report.problems, *notes),
            features=None if features is None else self._output.parent / features["path"],
            tta=plan.get("tta"),
        )

    def _refuse_more(self, committed: set[int], units: int) -> None:
        """Refuse marks of units that do not exist: whatever wrote them knew other inputs."""
        more = sorted(number for number in committed if number >= units)
        if more:
            raise ScoreError(
                f"{work_folder(self._output)}: its run has {units} units, but a mark of unit "
                f"{more[0]}. Remove that mark (mark-...-{more[0]:06d}.json)."
            )

    @contextmanager
    def _scored_again(self, units: int) -> Iterator[None]:
        """Say of units that turn out to be damaged how to score them again."""
        try:
            yield
        except DamagedPartError as error:
            raise unfinished(
                self._store, self._output, set(error.numbers), units, damaged=True
            ) from error

    def _begun(self) -> ScoreRecord:
        try:
            begun = ScoreRecord.from_json(json.loads(self._store.run.started()))
            _seconds_since(begun.started)
        except FileNotFoundError as error:
            raise ScoreError(
                f"{self._output}: no job has got to its first image yet. Start one."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ScoreError(
                f"{work_folder(self._output)}: what the first job stored of itself (started-...) "
                "is damaged. Remove that file, and run a job again: it stores this again."
            ) from error
        return begun

    def _format(self, begun: ScoreRecord) -> RowsFormat:
        """Open the writer that the jobs have."""
        told, model = begun.output, begun.model
        selection = Selection(
            told["columns"], told["top_k"], told["min_probability"], told.get("decimals")
        )
        origin = {
            "vocscore": begun.vocscore,
            "checkpoint": model.sha256,
            "preprocess": dict(model.preprocess),
        }
        features = told.get(KEY)
        if features is not None:
            self._store.features = features_format(
                features["path"],
                features["dtype"],
                origin={**origin, "precision": model.precision},
            )
        return self._choice.open(
            model.classes,
            model.threshold,
            selection=selection,
            origin=origin,
            activation=model.rule,
        )

    def _quarantine(self, inputs: Inputs) -> Quarantine | None:
        folder, source = self._config.limits.quarantine, self._plan["source"]
        if folder is None:
            return None
        refuse_inside(folder, source)
        globs = {"include": list(inputs.globs.include), "exclude": list(inputs.globs.exclude)}
        return Quarantine(folder, run={"source": source, "listing": inputs.digest(), **globs})

    def _record(self, begun: ScoreRecord, ledger: Ledger, size: int, files: bytes | None) -> bytes:
        """The record of the output: what the first job knew, and the counts."""
        errors: dict[str, int] = {}
        for part in ledger.records.values():
            for reason, number in part.errors.items():
                errors[reason] = errors.get(reason, 0) + number
        joined = ledger.features_bytes
        record = replace(
            begun,
            finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            seconds=round(_seconds_since(begun.started), 3),
            output={**begun.output, "bytes": size, **({} if joined is None else {BYTES: joined})},
            rows=sum(part.rows for part in ledger.records.values()),
            resumed=0,
            errors=dict(sorted(errors.items())),
            files_sha256=None if files is None else stamps_hash(files),
        )
        return record.to_bytes()
