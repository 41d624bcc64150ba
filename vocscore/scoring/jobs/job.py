"""Scores the share of one job; `merge` writes the output when all shares are there."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocscore.errors import OptionError, ScoreError
from vocscore.scoring.bad_inputs.bad_inputs import BadInputs
from vocscore.scoring.chosen_model import check_model, thresholds_of
from vocscore.scoring.earlier_output import earlier_output, stamped_inputs
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.features_format import features_of
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.inputs.globs import Globs
from vocscore.scoring.inputs.sources import (
    STANDARD_INPUT,
    given_name,
    read_source,
    source_name,
)
from vocscore.scoring.jobs.agreed_engine import AgreedEngine
from vocscore.scoring.jobs.missing import different
from vocscore.scoring.jobs.share import share_of
from vocscore.scoring.jobs.shared_inputs import SharedInputs
from vocscore.scoring.jobs.stores import open_store
from vocscore.scoring.output.describe import describe
from vocscore.scoring.output.earlier import refuse_other
from vocscore.scoring.output.features_parts import facts
from vocscore.scoring.output.ledger import opened_store
from vocscore.scoring.output.marked_run import PARTS, LeftBehindError
from vocscore.scoring.plan import begun_precision, plan_of
from vocscore.scoring.score_report import (
    ScoreReport,
    complete_report,
    report_of,
    rows_of,
    with_ceilings,
)
from vocscore.scoring.scoring import Scoring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vocscore.config.scoring import ScoreConfig
    from vocscore.scoring.engines import Engine
    from vocscore.scoring.engines.factory import EngineOpener
    from vocscore.scoring.formats.choice import RowsFormat
    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.output.ledger import Ledger
    from vocscore.scoring.scoring import Progress

MARKS = "marks"
"""In the plan of a run of jobs: how its parts are committed."""


def score_share(
    source: str | Path,
    output: Path,
    config: ScoreConfig,
    *,
    checkpoint: Path,
    command: str | None = None,
    progress: Progress | None = None,
    listing: Callable[[int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
    on_share: Callable[[str], None] | None = None,
) -> ScoreReport:
    """Score the units of `config.jobs.units`.

    The arguments are those of `run.score`; `on_share` is called with the share, and where it was
    taken from.

    Returns:
        What the job has done; or, if the output is there and is what the call would write, that.

    Raises:
        ScoreError: as for `run.score`; or the run that other jobs have begun differs, also in the
            kind of the machine.
        StoppedOnPurposeError, CheckpointError, DeviceError, DamageError, RowsError: as there.
    """
    stage = on_stage or (lambda _name: None)
    job = _Job(source, output, config, checkpoint=checkpoint, stage=stage)
    if on_share is not None:
        on_share(job.told)
    try:
        return job.run(command=command, progress=progress, listing=listing)
    except LeftBehindError:
        if not output.exists():
            raise
        report = ScoreReport(0, 0, {}, 0, (), 0.0, output)
        return replace(report, complete=True, units=config.jobs.units)


class _Job:
    """One job, whose options were found to be usable."""

    def __init__(
        self,
        source: str | Path,
        output: Path,
        config: ScoreConfig,
        *,
        checkpoint: Path,
        stage: Callable[[str], None],
    ) -> None:
        _refuse(source, config)
        self._source, self._output, self._config = source, output, config
        self._checkpoint, self._stage = checkpoint, stage
        self._globs = Globs(config.inputs.include, config.inputs.exclude)
        self._choice = choose(output, folder_format=config.output.format)
        self._earlier = earlier_output(output, self._choice, config, source=source)
        self._store = open_store(
            output,
            suffix=f".{self._choice.name}",
            folder=self._choice.folder,
            features_file=config.output.features,
            wanted=self._wants,
        )
        begun = self._store.plan() is not None
        array = self._store.run.array() if begun else None
        self._share = share_of(str(config.jobs.units), os.environ, array=array)
        self._card, self._identity = check_model(checkpoint, config.compute)
        self._threshold = thresholds_of(self._card, config.output.thresholds_file)

    @property
    def told(self) -> str:
        """The share, and where it was taken from."""
        if self._share is None:
            return "any that no job has scored yet"
        taken = self._share.variable
        return f"{self._share}{f' (from {taken}={os.environ[taken]})' if taken else ''}"

    def run(
        self,
        *,
        command: str | None,
        progress: Progress | None,
        listing: Callable[[int], None] | None,
    ) -> ScoreReport:
        """Score the units of the share that are not committed."""
        with ExitStack() as held:
            agreed = held.enter_context(closing(self._engine()))
            agreed.opened()  # before the listing: errors of the model come at once
            for first in (True, False):
                inputs, begun = self._inputs(listing)
                opened = agreed.opened()
                engine, opener = opened.engine, opened.opener
                rows_format, described = self._format(opener)
                plan = self._plan(inputs, opener, loader=engine.loader, output=described)
                if self._earlier is not None and not begun:
                    refuse_other(self._output, self._earlier, {"tta": None, **plan})
                    return complete_report(inputs, self._earlier, self._output)
                try:
                    ledger = held.enter_context(self._opened(inputs, plan, opener, begun=begun))
                    break
                except ScoreError:
                    # Another job has listed the folder at another moment, or chosen another
                    # precision: its list and its choice stand.
                    if begun or not first or self._store.plan() is None:
                        raise
            describe(
                plan,
                ledger,
                card=self._card,
                checkpoint=self._checkpoint,
                source=given_name(self._source),
                command=command,
            )
            inputs = self._store.run.inputs()  # also in the first job: its places are absolute
            report = self._score(engine, ledger, inputs, rows_format, progress=progress)
            return replace(report, precision=opened.chosen)

    def _engine(self) -> AgreedEngine:
        return AgreedEngine(
            self._config,
            self._card,
            checkpoint=self._checkpoint,
            identity=self._identity,
            begun=self._begun,
            stage=self._stage,
        )

    def _begun(self) -> str | None:
        """The precision of the run that other jobs, or earlier ones, have begun."""
        if self._earlier is not None:
            return self._earlier.model.precision
        return begun_precision(self._store.plan(), self._origin())

    def _inputs(self, listing: Callable[[int], None] | None) -> tuple[Inputs, bool]:
        """Return the inputs of the run that was begun, if one was; otherwise list them."""
        standing = self._store.plan()
        if standing is not None and PARTS in standing:
            return self._store.run.inputs(), True
        self._stage("listing inputs")
        inputs = read_source(self._source, globs=self._globs, listing=listing)
        return stamped_inputs(inputs, self._config, self._choice), False

    def _format(self, opener: EngineOpener) -> tuple[RowsFormat, dict[str, Any]]:
        """Return the writer of rows, and what a plan says of it; set that of features."""
        written = self._config.output
        origin = self._origin()
        selection = Selection(
            written.columns, written.top_k, written.min_probability, written.decimals
        )
        rows_format = self._choice.open(
            self._card.classes,
            self._threshold,
            selection=selection,
            origin=origin,
            activation=self._card.activation,
        )
        features = features_of(written, origin={**origin, "precision": opener.precision})
        self._store.features = None if features is None else features[1]
        told = facts(written.features, self._output, dtype=written.features_dtype)
        return rows_format, {**self._choice.described(selection, self._card.classes), **told}

    def _origin(self) -> dict[str, Any]:
        return {
            "vocscore": version("vocscore"),
            "checkpoint": self._identity,
            "preprocess": self._card.preprocess.to_json(),
        }

    def _plan(
        self, inputs: Inputs, opener: EngineOpener, *, loader: str, output: dict[str, Any]
    ) -> dict[str, Any]:
        known = {
            **self._origin(),
            "source": source_name(self._source),
            "listing": inputs.digest(),
            "threshold": self._threshold,
        }
        return plan_of(
            self._config, known, globs=self._globs, loader=loader, opener=opener, output=output
        )

    @contextmanager
    def _opened(
        self, inputs: Inputs, plan: dict[str, Any], opener: EngineOpener, *, begun: bool
    ) -> Iterator[Ledger]:
        """Open the store with the plan of this kind of machine."""
        from vocscore.workers.kind import kind_of

        if not begun:
            self._store.run.freeze(inputs)
        whole = {**plan, PARTS: MARKS}
        if not self._config.cluster.mixed_machines:
            whole["machine"] = kind_of(device=opener.device, precision=opener.precision)
        overwrite = self._config.output.overwrite
        with opened_store(self._store, whole, overwrite=overwrite, discard=False) as ledger:
            yield ledger

    def _wants(self, number: int) -> bool:
        return self._share is not None and self._share.has(number)

    def _score(
        self,
        engine: Engine,
        ledger: Ledger,
        inputs: Inputs,
        rows_format: RowsFormat,
        *,
        progress: Progress | None,
    ) -> ScoreReport:
        config, store, share = self._config, self._store, self._share
        if share is not None and share.of > 1:
            store.run.put_array(share.array())
        resumed, started = rows_of(ledger), time.monotonic()
        size = config.inputs.unit_size
        shared = SharedInputs(inputs, size, share=share, committed=store.committed())
        scoring = Scoring(
            shared,
            ledger,
            unit_size=size,
            rows_format=rows_format,
            progress=progress,
            bad=BadInputs(ledger, max_bad=config.limits.max_bad),
            on_stage=self._stage,
            taken=store.is_committed,
        )
        scoring.score(engine)
        seconds = time.monotonic() - started
        report = report_of(shared, ledger, resumed=resumed, seconds=seconds, output=self._output)
        report = replace(
            report,
            features=config.output.features,
            tta=config.compute.tta,
            units="any" if share is None else str(share),
            left=shared.count - len(store.committed()),
            problems=(*report.problems, *different(store.others)),
        )
        if report.images == resumed:
            return report
        return with_ceilings(report, engine, shared, config, stage=self._stage)


def _refuse(source: str | Path, config: ScoreConfig) -> None:
    """Refuse what jobs cannot do."""
    if config.update.update:
        raise OptionError("`update` is not supported with `units`. Omit one of them.")
    if config.limits.quarantine is not None:
        raise OptionError(
            "`quarantine` is not an option of a job with `units`: give it to 'vocscore merge'."
        )
    if Path(source) == STANDARD_INPUT:
        raise OptionError(
            "`units` needs a source that every job can read, not standard input. Write the list "
            "to a file and name that."
        )
