"""The export job: checks arguments, finds images for the check, and writes the file."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from vocscore.config.exporting import ExportConfig
from vocscore.exporting.formats import check_place
from vocscore.exporting.run_images import trained_on, validated_on
from vocscore.models.card_file import load_card

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shards.sample import ImageRef
    from vocscore.config.exporting import CheckConfig
    from vocscore.exporting.export import ExportReport


def export(
    checkpoint: Path,
    out: Path,
    config: ExportConfig | None = None,
    *,
    on_images: Callable[[int, int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> ExportReport:
    """Write a checkpoint in another format, once it gives torch's probabilities.

    Args:
        checkpoint: the folder of a trained network.
        out: the new file; it ends in .onnx or .xml. Its description is written beside it.
        config: the images for the check, and whether a file may be replaced.
        on_images: called with the number of images checked so far, and the total.
        on_stage: called with the name of each stage as it starts.

    Raises:
        ExportError: the output cannot be written, or as for `write_checked`.
        OptionError: there are no images for the check.
        CheckpointError: the checkpoint is missing or damaged.
    """
    config = config or ExportConfig()
    check_place(out, overwrite=config.output.overwrite)
    load_card(checkpoint)  # raises an error if it is not a run
    with _check_images(checkpoint, config.check) as (images, source):
        if on_stage is not None:
            on_stage("loading PyTorch")  # errors that need no torch were raised above
        from vocscore.exporting.export import write_checked

        return write_checked(
            checkpoint,
            out,
            images=images,
            source=source,
            max_pixels=config.check.max_pixels,
            on_images=on_images,
            on_stage=on_stage,
        )


@contextmanager
def _check_images(checkpoint: Path, check: CheckConfig) -> Iterator[tuple[Sequence[ImageRef], str]]:
    """Yield the images for the check and their name; drawn images are deleted at the end."""
    from shards.reader import load_split
    from vocscore.exporting.images import drawn_in, found_below

    most = check.check_images
    if check.drawn:
        with TemporaryDirectory(prefix="vocscore-") as place:
            yield drawn_in(Path(place), number=most), "drawn"
        return
    if check.images is not None:
        yield found_below(check.images, most=most), "a folder of images"
        return
    shards = check.shards or trained_on(
        checkpoint, instead="Check the export on others with `shards`, `images` or `drawn=True`."
    )
    split = check.split or validated_on(checkpoint, shards)
    yield load_split(shards, split).images[:most], f"split {split!r} of the shards"
