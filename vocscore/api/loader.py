"""`vocscore.loader`: images in batches for the user's own training loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vocscore.api import loader_arguments as arguments
from vocscore.api.batch_loader import BatchLoader
from vocscore.api.loader_batches import BatchPlan
from vocscore.api.loader_images import choose_images
from vocscore.config.compute import IMAGE_MEMORY, MAX_PIXELS
from vocscore.config.training import AugmentationConfig
from vocscore.errors import LoaderError
from vocscore.machine import bound_images, usable_cores
from vocscore.models.card_file import load_card
from vocscore.pipeline.loaders import NAMES
from vocscore.pipeline.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from vocscore.pipeline.raw import preprocess_of, refuse_other_form
from vocscore.runtime import resolve_device

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from shards.raw_images import RawForm

    ThreeNumbers = tuple[float, float, float]

_SIZE = 256
_PLANNED = ("batch_size", "shuffle", "seed", "drop_last", "rank", "world_size")


def loader(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    split: str | Sequence[str] | None = None,
    batch_size: int = 64,
    shuffle: bool = False,
    seed: int = 0,
    size: int | None = None,
    mean: ThreeNumbers | None = None,
    std: ThreeNumbers | None = None,
    preprocess: str | os.PathLike[str] | Preprocess | None = None,
    augmentation: AugmentationConfig | None = None,
    difficult: str = "ignore",
    on_error: str = "raise",
    drop_last: bool = False,
    rank: int = 0,
    world_size: int = 1,
    workers: int | None = None,
    loader: str = "auto",
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    image_memory: int = IMAGE_MEMORY,
) -> BatchLoader:
    """Open a loader: every `for batch in ...` over it is one epoch.

    Only names and labels are read here; images are read and decoded during an epoch.

    Args:
        source: a folder of packed shards, with their labels; a folder of images or of other tars,
            one tar, a list file or one image, as for `vocscore score`; or a list of image files.
            Only packed shards have labels.
        split: of packed shards: a name, names joined by commas ('train,val'), or a list of names;
            None: all.
        batch_size: images per batch, on each rank; the last batch may be smaller.
        shuffle: visit the rows in a different order in each epoch. The order depends only on
            `seed` and the epoch, on every machine, and is that of `vocscore train`.
        seed: for the order and for `augmentation`, not below 0.
        size: height and width of the images, pixels; None: those of raw shards, else 256.
        mean: of R, G, B on the scale 0 to 1, for `normalize`; None: ImageNet's.
        std: like `mean`, above 0.
        preprocess: a run whose size, mean and std replace these three arguments, or a
            `Preprocess`.
        augmentation: random crops, flips and colors. The values for an image depend only on
            `seed`, the epoch and the row.
        difficult: the label of a class of which an image shows only 'difficult' instances:
            'ignore' (-1), 'positive' (1) or 'negative' (0); of no effect without labels.
        on_error: for an image that cannot be decoded: 'raise', or 'skip', which leaves it out and
            adds it to `skipped`.
        drop_last: leave out the last rows of an epoch if they do not fill a batch of every rank.
        rank: of this process, from 0.
        world_size: processes that share the rows; each row is visited by exactly one, and all
            have equally many batches.
        workers: decoding threads; None: one per usable core.
        loader: 'auto' (DALI on a GPU, else 'host'), 'dali', 'host' (libjpeg-turbo and torch) or
            'reference' (Pillow in one thread, slow).
        device: of the images in a batch: 'auto' (the first GPU, else the CPU), 'cpu', 'cuda' or
            'cuda:N'.
        max_pixels: largest width times height of an image; a larger one counts as undecodable.
        image_memory: MiB for files and pixels of the images that this process decodes at the same
            time; as for `vocscore.load`.

    Raises:
        LoaderError: the source has no image or no split of that name, or an argument has the
            wrong type or is out of its range.
        ScoreError: the source does not exist or cannot be read.
        DamageError: the shards are incomplete or damaged.
        CheckpointError: `preprocess` is not a run.
        DeviceError: the device does not exist.
        PreprocessError: raw shards are of another form.
        EvalError: the rule for difficult labels is unknown.
    """
    given = arguments.read_all(
        split=split,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        size=size,
        mean=mean,
        std=std,
        preprocess=preprocess,
        augmentation=augmentation,
        difficult=difficult,
        on_error=on_error,
        drop_last=drop_last,
        rank=rank,
        world_size=world_size,
        workers=workers,
        loader=loader,
        device=device,
        max_pixels=max_pixels,
        image_memory=image_memory,
    )
    if on_error not in ("raise", "skip"):
        raise LoaderError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    if loader not in NAMES:
        raise LoaderError(f"loader must be one of {', '.join(NAMES)}, got {loader!r}")
    chosen = choose_images(arguments.read_source(source), split=given["split"], difficult=difficult)
    plan = BatchPlan(
        rows=len(chosen.refs),
        **{name: given[name] for name in _PLANNED},
    )
    wanted = {name: given[name] for name in ("size", "mean", "std")}
    made = _preprocess(given["preprocess"], chosen.raw, **wanted)
    if chosen.raw is not None:
        refuse_other_form(chosen.raw, made, str(source))
    bound_images(given["image_memory"])
    return BatchLoader(
        chosen,
        plan,
        made,
        augmentation=augmentation or AugmentationConfig(),
        skip_errors=on_error == "skip",
        workers=given["workers"] or usable_cores(),
        kind=loader,
        device=resolve_device(device),
        max_pixels=given["max_pixels"],
    )


def _preprocess(
    given: str | os.PathLike[str] | Preprocess | None,
    raw: RawForm | None,
    *,
    size: int | None,
    mean: ThreeNumbers | None,
    std: ThreeNumbers | None,
) -> Preprocess:
    if given is None:
        try:
            usual = Preprocess(size=_SIZE) if raw is None else preprocess_of(raw)
            return replace(
                usual,
                size=usual.size if size is None else size,
                mean=IMAGENET_MEAN if mean is None else mean,
                std=IMAGENET_STD if std is None else std,
            )
        except ValueError as error:
            raise LoaderError(str(error)) from error
    if (size, mean, std) != (None, None, None):
        raise LoaderError("preprocess sets size, mean and std; give it or them, not both")
    return given if isinstance(given, Preprocess) else load_card(Path(given)).preprocess
