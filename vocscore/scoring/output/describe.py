"""Creates the record beside an output: model, source, settings and versions."""

from __future__ import annotations

import platform
import time
from collections import Counter
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from vocscore.models.card_file import checkpoint_hash
from vocscore.records.input_stamps import stamps_hash
from vocscore.records.score_record import ModelFacts, ScoreRecord
from vocscore.records.trained_on import read_trained_on
from vocscore.scoring.inputs.units import digest_of
from vocscore.scoring.output.features_parts import BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from vocscore.models.card import ModelCard
    from vocscore.scoring.output.ledger import Ledger

LIBRARIES: Final = (
    "torch",
    "openvino",
    "nvidia-dali-cuda130",
    "simplejpeg",
    "pillow",
    "numpy",
    "pyarrow",
)
"""Libraries that decode, compute or write; another version may change the last bits."""
_SOURCE: Final = ("listing", "include", "exclude")
_SETTINGS: Final = ("maker", "device", "unit_size", "max_pixels")
_SOME_SETTINGS: Final = ("tta", "machine", "int8")
"""Settings that a plan and a record only have if they are given."""
_SIZES: Final = ("bytes", BYTES)


def describe(
    plan: Mapping[str, Any],
    ledger: Ledger,
    *,
    card: ModelCard,
    checkpoint: Path,
    source: str,
    command: str | None,
    update: Mapping[str, int] | None = None,
) -> Callable[..., bytes]:
    """Prepare the record of an output that is about to be written.

    Args:
        plan: plan of the ledger: everything that determines the output's bytes.
        ledger: ledger of the output; its records are read when all units are committed.
        card: card of the model.
        checkpoint: folder of the model, as the user named it.
        source: what is scored, as the user named it; a URL without credentials and query.
        command: the command line as typed; None if called from Python.
        update: `Reuse.counts` of an update.

    Returns:
        For `Scoring`: a function from the size of the output in bytes, and `files`, its stamps, to
        its record.
        Until then, the ledger has the record of an unfinished run.
    """
    begun, started = time.monotonic(), _now()
    resumed = sum(record.rows for record in ledger.records.values())
    stay = update["reused"] + update["kept"] if update else 0
    libraries = _versions()
    trained_on = read_trained_on(checkpoint)  # not later: the folder may be moved during the run

    def described(output_bytes: int, *, files: bytes | None, complete: bool) -> bytes:
        errors: Counter[str] = Counter()
        for part in ledger.records.values():
            errors.update(part.errors)
        joined = ledger.features_bytes if complete else None
        features = {} if joined is None else {BYTES: joined}
        record = ScoreRecord(
            vocscore=plan["vocscore"],
            libraries=libraries,
            command=command,
            started=started,
            finished=_now() if complete else None,
            model=ModelFacts(
                given=str(checkpoint),
                path=str(checkpoint.absolute()),
                sha256=plan["checkpoint"],
                precision=plan["precision"],
                preprocess=plan["preprocess"],
                threshold=plan["threshold"],
                classes=card.classes,
                backbone=card.backbone,
                activation=None if card.activation == "sigmoid" else card.activation,
            ),
            source={
                "given": source,
                "path": plan["source"],
                **{name: plan[name] for name in _SOURCE},
            },
            settings=_settings(plan),
            output={**plan["output"], "bytes": output_bytes, **features},
            rows=stay + sum(part.rows for part in ledger.records.values()),
            resumed=resumed,
            errors=dict(sorted(errors.items())),
            trained_on=trained_on,
            seconds=round(time.monotonic() - begun, 3) if complete else None,
            files_sha256=None if files is None else stamps_hash(files),
            update=update,
        )
        return record.to_bytes()

    ledger.start(described(0, files=None, complete=False))
    return partial(described, complete=True)


def recorded_plan(record: ScoreRecord) -> dict[str, Any]:
    """The plan of the run that wrote a record, without what an update adds to it."""
    model, source = record.model, record.source
    threshold = model.threshold
    return {
        "vocscore": record.vocscore,
        "checkpoint": model.sha256,
        "preprocess": dict(model.preprocess),
        "source": source["path"],
        **{name: source[name] for name in _SOURCE},
        "threshold": list(threshold) if isinstance(threshold, tuple) else threshold,
        "precision": model.precision,
        **_settings(record.settings),
        "output": {name: value for name, value in record.output.items() if name not in _SIZES},
    }


def _settings(told: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among the values of a plan or of a record."""
    some = {name: told[name] for name in _SOME_SETTINGS if name in told}
    return {**{name: told[name] for name in _SETTINGS}, **some}


def _versions() -> dict[str, str]:
    """Return the versions of Python and of the installed libraries."""
    found = {name: text for name in LIBRARIES if (text := _version(name)) is not None}
    return {"python": platform.python_version(), **found}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _now() -> str:
    """Return the time in UTC, ISO 8601 to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def describe_out_of_fold(
    names: Sequence[str],
    *,
    card: ModelCard,
    run: Path,
    shards: Path,
    folds: int,
    settings: Mapping[str, Any],
    output: Mapping[str, Any],
    started: str,
    command: str | None,
) -> bytes:
    """Create the record of out-of-fold predictions.

    Args:
        names: original paths of the images, in row order.
        card: card of the run's model.
        run: its folder, finished but for this output.
        shards: the packed dataset.
        folds: number of folds.
        settings: of the training: 'precision' of the features, 'maker', 'device', 'max_pixels'.
        output: 'format', 'folder', 'bytes' and the selection.
        started: when the first head was trained, ISO 8601, UTC.
        command: as it was typed; None if called from Python.

    Raises:
        CheckpointError: the run has no checkpoint.
    """
    threshold = card.decision_threshold
    record = ScoreRecord(
        vocscore=version("vocscore"),
        libraries=_versions(),
        command=command,
        started=started,
        finished=_now(),
        model=ModelFacts(
            given=str(run),
            path=str(run.absolute()),
            sha256=checkpoint_hash(run),
            precision=settings["precision"],
            preprocess=card.preprocess.to_json(),
            threshold=threshold,
            classes=card.classes,
            backbone=card.backbone,
        ),
        source={
            "given": str(shards),
            "path": str(shards.absolute()),
            "listing": digest_of(names),
            "include": [],
            "exclude": [],
        },
        settings={name: settings.get(name) for name in _SETTINGS},
        output=output,
        rows=len(names),
        resumed=0,
        errors={},
        trained_on=read_trained_on(run),
        folds=folds,
    )
    return record.to_bytes()
