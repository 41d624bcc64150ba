"""Reads the facts that `vocscore info` shows, as sections of plain values. No torch is imported."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from shards.files import open_binary, read_regular
from shards.reader import load_split
from vocscore.errors import InfoError, RecordError
from vocscore.models.card import CARD_FILE
from vocscore.models.card_file import checkpoint_hash, read_card, to_card, weights_file_of
from vocscore.records.keys import current_settings
from vocscore.records.score_record import (
    STARTED,
    ScoreRecord,
    is_record,
    read_record,
    record_file,
)
from vocscore.records.trained_on import CONFIG, PACKED, read_trained_on

if TYPE_CHECKING:
    from pathlib import Path

    from shards.manifest import Manifest

Sections: TypeAlias = "dict[str, dict[str, Any]]"

_HISTORY: Final = "history.csv"
_METRICS: Final = "metrics.json"
_STATE: Final = "resume.pt"
_MARK: Final = re.compile(r"part-\d{6,}\.json")
_HEADS: Final = {".csv": b"path,status,error", ".jsonl": b'{"path": ', ".parquet": b"PAR1"}


def is_predictions(file: Path) -> bool:
    """Whether a file begins as a format of `vocscore score` does."""
    head = _HEADS.get(file.suffix.lower())
    if head is None:
        return False
    with open_binary(file) as opened:
        return opened.read(len(head)) == head


def predictions(path: Path) -> Sections:
    """The facts in the record beside predictions; without one, what the files show."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)
    record = read_record(record_file(path))
    if record is None:
        form = files[0].suffix.removeprefix(".")
        note = f"none: {record_file(path).name} is missing"
        return {"predictions": {"format": form, "bytes": size, "record": note}}
    sections = _recorded(record)
    if record.output.get("bytes") != size:
        sections["predictions"]["changed"] = (
            f"yes: {size:,} bytes, so this record may describe other rows"
        )
    return sections


def own_record(file: Path) -> Sections | None:
    """The facts in a record that was itself named; None if the file is none.

    Raises:
        RecordError: it is damaged, or of a newer version.
    """
    record = read_record(file) if is_record(file) else None
    return None if record is None else _recorded(record)


def unfinished(work: Path) -> Sections:
    """The facts about an unfinished run: its record so far, and its complete parts."""
    counts = [_counts(path) for path in work.iterdir() if _MARK.fullmatch(path.name)]
    done = {
        "rows so far": sum(rows for rows, _ in counts),
        "errors so far": sum(errors for _, errors in counts),
    }
    try:
        record = read_record(work / STARTED)
    except RecordError:
        record = None
    if record is None:
        return {"predictions": done}
    sections = _recorded(record)
    for name in ("rows", "errors", "bytes", "resumed"):
        sections["predictions"].pop(name, None)
    return {**sections, "predictions": {**done, **sections["predictions"]}}


def _counts(mark: Path) -> tuple[int, int]:
    """Rows and errors of a complete part; 0 for a damaged mark, whose part is scored again."""
    try:
        kept = json.loads(read_regular(mark))
        return kept["rows"], sum(kept["errors"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0, 0


def _recorded(record: ScoreRecord) -> Sections:
    model, threshold = record.model, record.model.threshold
    source, output = dict(record.source), dict(record.output)
    per_class = isinstance(threshold, tuple)
    return {
        "predictions": {
            "rows": record.rows,
            "errors": dict(record.errors) or 0,
            "resumed": record.resumed or None,
            "folds": record.folds,
            "update": record.update and dict(record.update),
            **output,
            "started": record.started,
            "finished": record.finished,
            "seconds": record.seconds,
            "command": record.command,
        },
        "model": {
            "backbone": model.backbone,
            "path": model.path,
            "sha256": model.sha256,
            "precision": model.precision,
            "activation": model.activation,
            "threshold": dict(zip(model.classes, threshold, strict=False))
            if isinstance(threshold, tuple)
            else threshold,
            "classes": None if per_class else list(model.classes),
            "preprocess": dict(model.preprocess),
        },
        "source": source,
        "settings": current_settings(record.settings),
        "trained on": {} if record.trained_on is None else record.trained_on.to_json(),
        "versions": {"vocscore": record.vocscore, **record.libraries},
    }


def is_run(folder: Path) -> bool:
    """Whether a folder has the files of a training, finished or not."""
    return (folder / CARD_FILE).exists() or (
        (folder / CONFIG).exists() and ((folder / _HISTORY).exists() or _has_images(folder))
    )


def _has_images(folder: Path) -> bool:
    return (folder / "images.csv").exists()


def is_finished_run(folder: Path) -> bool:
    """Whether a training has ended; the state for a resume is removed last."""
    return (folder / CARD_FILE).exists() and not (folder / _STATE).exists()


def run(folder: Path) -> Sections:
    """The facts about a run: model, training, metrics, settings.

    Raises:
        CheckpointError: its card is damaged.
        InfoError: another of its files is.
    """
    sections: Sections = {}
    if (folder / CARD_FILE).exists():
        written = read_card(folder)
        card, weights = to_card(written, folder), folder / weights_file_of(written)
        sections["model"] = {
            "backbone": card.backbone,
            "weights": card.weights,
            **({"head": dict(card.head)} if card.head else {}),
            **({"origin": dict(card.origin)} if card.origin else {}),
            "sha256": checkpoint_hash(folder) if weights.exists() else None,
            "bytes": _size(weights),
            "classes": list(card.classes),
            "threshold": dict(zip(card.classes, card.thresholds, strict=True))
            if card.thresholds
            else card.threshold,
            "temperature": card.temperature,
            "activation": None if card.activation == "sigmoid" else card.activation,
            "precision": card.precision,
            "preprocess": card.preprocess.to_json(),
            "onnx": card.onnx and card.onnx.to_json(),
        }
    if (folder / _HISTORY).exists() or not (folder / CARD_FILE).exists():
        sections["training"] = _last_epoch(folder / _HISTORY)  # an imported model has none
    trained_on = read_trained_on(folder)
    sections["trained on"] = {} if trained_on is None else trained_on.to_json()
    settings = _object(folder / CONFIG)
    settings.pop(PACKED, None)  # it is in the section above
    sections["settings"] = settings
    figures = _object(folder / _METRICS)
    sections["metrics"] = {
        name: value for name, value in figures.items() if isinstance(value, (int, float, str))
    }
    return sections


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.exists() else None


def _last_epoch(history: Path) -> dict[str, Any]:
    """The epochs so far, and the figures of the last one."""
    if not history.exists():
        return {"epochs": 0}
    try:
        rows = list(csv.DictReader(io.StringIO(read_regular(history).decode("utf-8"))))
        if not rows:
            return {"epochs": 0}
        return {"epochs": len(rows), **{f"last {name}": value for name, value in rows[-1].items()}}
    except (ValueError, csv.Error) as error:
        raise InfoError(f"{history}: damaged ({error}). Copy the run again.") from error


def _object(file: Path) -> dict[str, Any]:
    """A JSON object in a file; {} if the file is missing."""
    try:
        value = json.loads(read_regular(file))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise InfoError(f"{file}: damaged, not JSON ({error}). Copy it again.") from error
    if not isinstance(value, dict):
        raise InfoError(f"{file}: damaged, not a JSON object. Copy it again.")
    return value


def shards(folder: Path, manifest: Manifest) -> Sections:
    """The facts about a packed set: splits, images of each class, settings.

    Raises:
        DamageError: a shard or an index is missing or damaged.
    """
    sections: Sections = {
        "shards": {
            "images": sum(split.samples for split in manifest.splits.values()),
            "bytes": sum(shard.bytes for shard in manifest.shards()),
            "classes": len(manifest.classes),
            "rejected images": manifest.rejected,
            "listing": manifest.listing,
        }
    }
    for name, split in manifest.splits.items():
        labels = load_split(folder, name).labels
        counts = np.count_nonzero(labels == 1, axis=0).tolist()
        sections[f"split {name}"] = {
            "images": split.samples,
            "shards": len(split.shards),
            "bytes": sum(shard.bytes for shard in split.shards),
            "images of each class": dict(zip(manifest.classes, counts, strict=True)),
        }
    sections["settings"] = dict(manifest.config)
    return sections


def exported(file: Path) -> Sections | None:
    """The description beside an exported model; None if it is not ours."""
    beside = file.with_name(f"{file.name}.json")
    if not beside.exists():
        return None
    facts = _object(beside)
    if not {"classes", "checked"} <= facts.keys():
        return None
    plain = {name: value for name, value in facts.items() if not isinstance(value, dict)}
    others = {name: value for name, value in facts.items() if isinstance(value, dict)}
    return {"model": {"bytes": _size(file), **plain}, **others}
