"""The import job: reads a model, writes its run, and keeps it if it computes the same."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shards import atomic
from shards.classes import read_classes
from vocscore.config.importing import ImportConfig
from vocscore.errors import ImportModelError
from vocscore.importing.imported import Request
from vocscore.importing.run_place import check_place, publish
from vocscore.models.card import CARD_FILE
from vocscore.printed import Printed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vocscore.importing.comparing import Comparison
    from vocscore.importing.imported import Imported
    from vocscore.models.card import ModelCard

SMALL_RANGE = 0.01
"""Probabilities that differ by less than this between images show little in a comparison."""


@dataclass(frozen=True)
class ImportReport(Printed):
    """The result of an import.

    Attributes:
        run: the new run's folder.
        card: of its model.
        preprocessing: in words.
        images: number of images on which it was compared with the original.
        source: of these images, in words.
        largest: largest difference of a probability in float32.
        library: that ran the original.
        unproved: what the comparison cannot show, one sentence each.
    """

    run: Path
    card: ModelCard
    preprocessing: str
    images: int
    source: str
    largest: float
    library: str
    unproved: tuple[str, ...]

    def __str__(self) -> str:
        """Return the summary, one fact per line."""
        card = self.card
        compared = f"on {self.images} images ({self.source})"
        lines = [
            f"backbone: {card.backbone}, {len(card.classes)} classes, activation {card.activation}",
            f"preprocessing: {self.preprocessing}",
            f"largest difference from {self.library}: {self.largest:.1g}, {compared}",
            *(f"not proved: {line}" for line in self.unproved),
            f"run: {self.run}",
        ]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "run": str(self.run),
            "card": self.card.to_json(),
            "preprocessing": self.preprocessing,
            "images": self.images,
            "source": self.source,
            "largest_difference": self.largest,
            "library": self.library,
            "unproved": list(self.unproved),
        }


def import_model(
    file: Path,
    out: Path,
    config: ImportConfig | None = None,
    *,
    on_images: Callable[[int, int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> ImportReport:
    """Make a run folder from a model that another program trained.

    The run is scored and compared with the original before it gets its name. No code in any file
    is run.

    Args:
        file: a state dict of a whole classifier, a folder or file in timm's form, or an ONNX file.
        out: the new run's folder.
        config: the options.
        on_images: called with the number of images compared so far, and the total.
        on_stage: called with the name of each stage as it starts.

    Raises:
        ImportModelError: the model cannot be imported, or computes something else here; then
            nothing is written.
        OptionError: an option is needed, or contradicts the model.
        LabelError: the file of classes cannot be used.
        CheckpointError: the weights cannot be used.
    """
    config = config or ImportConfig()
    stage = on_stage or (lambda _name: None)
    check_place(out, file=file, overwrite=config.output.overwrite)
    given = config.model.classes
    classes = None if given is None else read_classes(given)
    read = _reader(file)
    stage("loading PyTorch")  # errors that need no torch were raised above
    imported = read(file, Request(config, classes, stage))
    from vocscore.importing.comparing import compare
    from vocscore.importing.preprocessing import in_words

    with _working(out) as folder:
        stage("writing the run")
        with _writing(out):
            imported.save(folder)
        stage("comparing")
        try:
            found = compare(folder, imported, config.comparison, on_images=on_images)
        except ImportModelError as error:
            raise ImportModelError(f"{file}: {error}") from error
        with _writing(out):
            publish(folder, out)
    return ImportReport(
        run=out,
        card=imported.card,
        preprocessing=in_words(imported.card.preprocess),
        images=found.images,
        source=found.source,
        largest=found.largest,
        library=imported.library,
        unproved=(*imported.unproved, *_flat(found)),
    )


def _flat(found: Comparison) -> list[str]:
    """Say that a comparison shows little if the outputs hardly depend on the image."""
    if found.images > 1 and found.range >= SMALL_RANGE:
        return []
    line = (
        f"much, because the probabilities of these images differ by {found.range:.1g} at most. "
        "Compare on photographs with `images`."
    )
    return [line]


def _reader(file: Path) -> Callable[[Path, Request], Imported]:
    """Choose the reader of a file.

    Raises:
        ImportModelError: there is no such file.
    """
    if not file.exists():
        raise ImportModelError(f"{file}: no such file or folder.")
    if (file / CARD_FILE).exists():
        raise ImportModelError(f"{file}: is a run already. Score with it: `model={str(file)!r}`")
    if file.suffix.lower() == ".onnx":
        from vocscore.importing.onnx_model import read as read_onnx

        return read_onnx
    from vocscore.importing.described_folder import is_described

    if is_described(file):
        from vocscore.importing.described_folder import read

        return read
    from vocscore.importing.weights_alone import read as read_alone

    return read_alone


@contextmanager
def _working(out: Path) -> Iterator[Path]:
    """Make a folder beside the run; remove it when the block ends."""
    folder = atomic.temporary(out.resolve())
    try:
        with _writing(out):
            for left in atomic.leftovers(out.resolve()):  # by an import that was killed
                shutil.rmtree(left, ignore_errors=True)
            folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ImportModelError(
            f"{error.filename or out}: cannot be written: {str(error.strerror).lower()}."
        ) from error
