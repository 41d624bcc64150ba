"""How predictions were made, from the record beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vocscore.records.keys import current_settings
from vocscore.reporting.texts import counted, number, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vocscore.columns.dataset import Dataset
    from vocscore.records.score_record import ScoreRecord

Fact = tuple[str, str]
"""Name and value, as text that can be shown."""


def provenance(dataset: Dataset) -> list[Fact]:
    """The facts about a dataset; without a record only what the files say."""
    table, labels = dataset.table, dataset.labels
    facts = [("predictions", str(table.source))]
    if table.record is not None:
        facts += _of_record(table.record)
    if labels is not None:
        facts.append(("labels", f"{labels.shards} ({', '.join(labels.split_names)})"))
    if dataset.images is not None:
        facts.append(("images of this report", str(dataset.images)))
    return [(name, visible(value)) for name, value in facts]


def _of_record(record: ScoreRecord) -> Iterator[Fact]:
    model, source = record.model, record.source
    yield "model", model.path
    yield "SHA-256 of the model", model.sha256
    yield "precision", model.precision
    yield "preprocessing", _listed(model.preprocess)
    if not isinstance(model.threshold, tuple):
        yield "threshold of every class", f"{model.threshold:g}"
    yield "scored", str(source.get("path") or source.get("given") or "unknown")
    if record.command:
        yield "command", record.command
    yield "started", record.started
    yield "finished", record.finished or "still running"
    resumed = f", {number(record.resumed)} of them by an earlier run" if record.resumed else ""
    yield "rows", f"{number(record.rows)}{resumed}"
    if record.folds is not None:
        yield "scored by", f"{record.folds} heads, each image by the one not trained on it"
    yield "settings", _listed(current_settings(record.settings))
    yield "output", _listed(record.output)
    libraries = {"vocscore": record.vocscore, **record.libraries}
    yield "versions", ", ".join(f"{name} {version}" for name, version in libraries.items())
    if record.trained_on is not None:
        on = record.trained_on
        images = "" if on.train_images is None else f", {counted(on.train_images, 'image')}"
        yield "trained on", f"{on.shards} ({', '.join(on.train_splits)}{images})"
        if on.val_splits:
            chosen = f"; it chose {', '.join(on.chosen)}" if on.chosen else ""
            yield "validated on", f"{', '.join(on.val_splits)}{chosen}"


def _listed(values: Mapping[str, Any]) -> str:
    """Names and values on one line, without those that are unset."""
    return ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in values.items()
        if value is not None
    )
