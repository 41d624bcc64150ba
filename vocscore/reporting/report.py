"""Writes a report: predictions, their figures and mistakes as one HTML file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shards import atomic
from vocscore.columns.dataset import open_dataset
from vocscore.columns.figures import decided
from vocscore.errors import ReportError
from vocscore.printed import Printed
from vocscore.reporting import contents, drawing
from vocscore.reporting.album import Album, make_album
from vocscore.reporting.examples import bad_inputs, confident, mistakes
from vocscore.reporting.notes import notes
from vocscore.reporting.provenance import provenance
from vocscore.reporting.quality import measure
from vocscore.reporting.strips import ShownStrip, show
from vocscore.reporting.texts import counted, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vocscore.columns.dataset import Dataset
    from vocscore.config.reporting import ContentsConfig, ReportConfig
    from vocscore.reporting.examples import Strip
    from vocscore.reporting.quality import Quality

MOST_BYTES: Final = 24 << 20
"""Of all images with their texts, so that a report stays below 30 MB."""
SUFFIXES: Final = (".html", ".htm")
_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class WrittenReport(Printed):
    """A report that was written.

    Attributes:
        images: rows of the predictions.
        errors: of them, without probabilities.
        judged: labeled images that the metrics cover; 0 without labels.
        mean_average_precision: of them; None without metrics, nan without positives.
        thumbnails: in the report.
        left_out: places for images that the limit of the file's size left out.
        failed: images whose thumbnail could not be made.
        bytes: size of the file.
        output: its path.
    """

    images: int
    errors: int
    judged: int
    mean_average_precision: float | None
    thumbnails: int
    left_out: int
    failed: int
    bytes: int
    output: Path

    def __str__(self) -> str:
        """Return the counts and the path."""
        found = f"{counted(self.images, 'image')}, {counted(self.errors, 'error')}"
        if self.mean_average_precision is not None:
            found += f"; mAP {self.mean_average_precision:.3f} of {self.judged:,} labeled images"
        return f"{found}: {self.output} ({self.bytes / 1e6:.1f} MB)"


def report(
    predictions: Path,
    output: Path,
    config: ReportConfig,
    *,
    on_stage: Callable[[str], None] | None = None,
    on_rows: Callable[[int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenReport:
    """Write a report.

    Args:
        predictions: any form that `vocscore score` writes, finished or not.
        output: an .html file; it appears when it is complete.
        config: labels, images, and what is shown.
        on_stage: called with the name of the stage that begins.
        on_rows: called with the number of rows read so far, if they are read.
        progress: called with the number of thumbnails done and their total.

    Raises:
        ReportError: the output exists, or cannot be written.
        Error: the predictions or the labels cannot be used.
        OSError: they cannot be read.
    """
    _check_output(output, overwrite=config.contents.overwrite)
    stage = on_stage or (lambda _name: None)
    dataset = open_dataset(
        predictions,
        labels=config.data.labels,
        images=config.data.images,
        on_stage=stage,
        on_rows=on_rows,
    )
    quality = None
    if dataset.labels is not None:
        quality = measure(dataset.table, dataset.labels, config.bootstrap, on_stage=stage)
    bad, strips = _strips(dataset, quality, config.contents.images_per_class)
    rows = [row for strip in (*bad, *strips) for row in strip.rows]
    stage("making thumbnails")
    album = make_album(
        dataset,
        rows,
        config.contents.thumbnail_size,
        most_bytes=MOST_BYTES,
        progress=progress or (lambda _done, _total: None),
    )
    places = iter(album.places)
    shown_bad, shown = show(dataset, bad, places), show(dataset, strips, places)
    stage("writing")
    values = {
        **_values(dataset, quality, config.contents),
        "notes": [*notes(dataset.table, dataset.labels, quality), *_about(album)],
        "bad_inputs": shown_bad,
        "strips": _by_class(shown),
    }
    _write(output, values)
    return _summary(dataset, quality, album, output)


def _check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse an output before the work begins."""
    if output.suffix.lower() not in SUFFIXES:
        raise ReportError(f"{output}: a report is HTML. Name a file that ends in .html.")
    if output.is_dir():
        raise ReportError(f"{output}: is a folder. Name a file that ends in .html.")
    if not output.parent.is_dir():
        raise ReportError(f"{output.parent}: no such folder. Create it, or name another.")
    if not overwrite and (output.exists() or output.is_symlink()):
        raise ReportError(f"{output} already exists. Add `overwrite=True`, or name another file.")


def _strips(
    dataset: Dataset, quality: Quality | None, most: int
) -> tuple[list[Strip], list[Strip]]:
    """Bad inputs, and the images of each class."""
    bad = list(bad_inputs(dataset.table, most))
    if not most:
        return bad, []
    if quality is not None:
        return bad, list(mistakes(quality.compared, most))
    return bad, list(confident(dataset.table, most))


def _about(album: Album) -> Iterator[str]:
    """What the reader must know about the images."""
    if album.failed:
        yield (
            f"No thumbnail could be made of {counted(album.failed, 'image')}; the reason is in its "
            "place."
        )
    if album.left_out:
        yield (
            f"Further examples ({album.left_out:,}) are left out, so that the file stays below "
            "30 MB."
        )


def _by_class(strips: list[ShownStrip]) -> list[tuple[str, list[ShownStrip]]]:
    grouped = groupby(strips, key=lambda strip: strip.class_name)
    return [(name, list(of_class)) for name, of_class in grouped]


def _values(dataset: Dataset, quality: Quality | None, config: ContentsConfig) -> Mapping[str, Any]:
    """What the template shows, without images."""
    table = dataset.table
    found = decided(table, None)
    curves = [] if quality is None else contents.curves(table, quality)
    return {
        "version": version("vocscore"),
        "heading": visible(config.heading or table.name),
        "subtitle": _subtitle(dataset),
        "counts": contents.counts(table, found),
        "metrics": [] if quality is None else contents.metrics(quality),
        "intervals": _resamples(quality),
        "classes": contents.class_rows(table, found, quality),
        "histogram": drawing.histogram(found.edges, found.counts, name="probabilities"),
        "reliability": None if quality is None else drawing.reliability(quality.calibration),
        "few_decisions": drawing.FEW_DECISIONS,
        "curves": curves,
        "curves_left_out": _with_labels(quality) - len(curves),
        "missed_classes": [] if quality is None else contents.missed_classes(table, quality),
        "missed_pairs": [] if quality is None else contents.missed_pairs(table, quality),
        "provenance": provenance(dataset),
        "has_record": table.record is not None,
    }


def _subtitle(dataset: Dataset) -> str:
    record = dataset.table.record
    if record is None:
        return "Multi-label predictions"
    model = Path(record.model.path).name or record.model.path
    day = (record.finished or record.started).partition("T")[0]
    return visible(f"Multi-label predictions of the model {model}, {day}")


def _resamples(quality: Quality | None) -> str:
    if quality is None or quality.intervals is None:
        return ""
    return f"{quality.intervals.resamples:,}"


def _with_labels(quality: Quality | None) -> int:
    """Number of classes with positives."""
    return 0 if quality is None else int(np.count_nonzero(quality.report.per_class.positives))


def _write(output: Path, values: Mapping[str, Any]) -> None:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined
    )
    try:
        with atomic.replacing(output) as file:
            for piece in _encoded(environment.get_template("report.html").generate(values)):
                file.write(piece)
    except OSError as error:
        raise ReportError(
            f"{output}: cannot be written: {str(error.strerror).lower()}. Make it writable or free "
            "some space."
        ) from error


def _encoded(pieces: Iterator[str]) -> Iterator[bytes]:
    return (piece.encode("utf-8") for piece in chain(pieces, ["\n"]))


def _summary(
    dataset: Dataset, quality: Quality | None, album: Album, output: Path
) -> WrittenReport:
    return WrittenReport(
        images=dataset.table.rows,
        errors=int(dataset.table.failed.sum()),
        judged=0 if quality is None else len(quality.compared.rows),
        mean_average_precision=None if quality is None else quality.report.mean_average_precision,
        thumbnails=sum(one is not None and bool(one.source) for one in album.places),
        left_out=album.left_out,
        failed=album.failed,
        bytes=output.stat().st_size,
        output=output,
    )
