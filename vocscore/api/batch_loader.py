"""The loader that users iterate over: its epochs, state, errors and threads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from weakref import finalize, ref

import torch

from shards.paths import shown
from vocscore.api.checks import shortened
from vocscore.api.loader_arguments import read
from vocscore.api.loader_batches import joined_batches
from vocscore.api.loader_loop import Loop, Position, SkippedImage
from vocscore.errors import LoaderError
from vocscore.pipeline.augment import Views
from vocscore.pipeline.dali import DaliLoader
from vocscore.pipeline.devices import bring
from vocscore.pipeline.loaders import open_loader
from vocscore.scoring.inputs.units import digest_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from typing_extensions import Self

    from vocscore.api.loader_batches import BatchPlan
    from vocscore.api.loader_images import ChosenImages
    from vocscore.config.training import AugmentationConfig
    from vocscore.pipeline.batch import Batch, Failure, ImageLoader
    from vocscore.pipeline.preprocess import Preprocess

_STATE_VERSION: Final = 2


class BatchLoader:
    """Loads images in batches; each `for` loop is one epoch. `vocscore.loader` creates it.

    Threads prefetch while a loop runs. They end with the loop, however it ends. Only DALI's graph
    is kept for the next epoch, because building it takes long, until `close`, the end of a `with`
    block, or garbage collection.

    Only one loop runs at a time: starting another ends the one before, whose next step then raises
    `LoaderError`.

    Attributes:
        paths: the images' names, by row number.
        labels: int8, shape (len(paths), C): 1 present, 0 absent, -1 only difficult; None if the
            source has no labels.
        classes: the names of the labels' columns; () without labels.
        notes: one line for each part of the source that was left out or looks wrong.
        preprocess: size, mean and std.
        device: of the images in a batch.
    """

    def __init__(
        self,
        chosen: ChosenImages,
        plan: BatchPlan,
        preprocess: Preprocess,
        *,
        augmentation: AugmentationConfig,
        skip_errors: bool,
        workers: int,
        kind: str,
        device: str,
        max_pixels: int,
    ) -> None:
        """See `vocscore.loader`, which resolves the arguments; no thread is started."""
        self.paths = tuple(one.name for one in chosen.refs)
        self.labels = chosen.labels
        self.classes = chosen.classes
        self.notes = chosen.notes
        self.preprocess = preprocess
        self.device = torch.device(device)
        self._refs = chosen.refs
        self._difficult = chosen.difficult
        self._plan = plan
        self._augmentation = augmentation
        self._skip_errors = skip_errors
        self._workers = workers
        self._kind = kind
        self._max_pixels = max_pixels
        self._batches = len(plan.batches(0))
        self._skipped: dict[int, SkippedImage] = {}
        self._at = Position()
        self._loop: ref[Loop] | None = None
        self._dali: DaliLoader | None = None
        self._end_dali: finalize[..., BatchLoader] | None = None

    def __len__(self) -> int:
        """Batches per epoch, on this rank."""
        return self._batches

    def __repr__(self) -> str:
        """Describe the images, batches and order."""
        plan, size = self._plan, self.preprocess.size
        order = f"shuffled by seed {plan.seed}" if plan.shuffle else "in order"
        classes = f" of {len(self.classes)} classes" if self.classes else ""
        rank = f", rank {plan.rank} of {plan.world_size}" if plan.world_size > 1 else ""
        return (
            f"<BatchLoader: {len(self.paths)} images{classes}, {len(self)} batches of up to "
            f"{plan.batch_size}, {size}x{size} pixels, {order}{rank}, epoch {self.epoch}>"
        )

    @property
    def epoch(self) -> int:
        """The epoch of the running loop, or of the next one; the first is 1."""
        return self._at.epoch

    @property
    def skipped(self) -> tuple[SkippedImage, ...]:
        """The images skipped so far because they cannot be decoded, by row, without duplicates."""
        return tuple(self._skipped[row] for row in sorted(self._skipped))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next loop; otherwise epochs follow each other.

        A position from `load_state_dict` is kept if it is in that epoch.

        Args:
            epoch: not below 0.

        Raises:
            LoaderError: it is not such a number.
        """
        epoch = read("epoch", epoch)
        if epoch < 0:
            raise LoaderError(f"epoch must not be below 0, got {epoch}")
        if self._at.begun or epoch != self._at.epoch:
            self._go_to(Position(epoch))

    def normalize(self, images: torch.Tensor) -> torch.Tensor:
        """Convert a batch's images to the input of a network.

        Args:
            images: uint8, shape (N, 3, H, W), on any device.

        Returns:
            float32, same shape, channels-last, on `device`: (pixel / 255 - mean) / std.

        Raises:
            LoaderError: it is not a tensor of this shape.
        """
        if not isinstance(images, torch.Tensor) or images.ndim != 4 or images.shape[1] != 3:
            found = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images)
            raise LoaderError(
                f"images must be a tensor of shape (N, 3, H, W), as in a batch, got {found}"
            )
        return self.preprocess.normalize(bring(images, self.device))

    def __iter__(self) -> Iterator[Batch]:
        """Start an epoch, or resume at the position from `load_state_dict`.

        Yields:
            Batches: every row of this rank once, in the epoch's order.

        Raises:
            LoaderError: an image cannot be decoded and on_error is 'raise', or a newer loop over
                this loader was started.
            DeviceError: DALI is requested and not installed.
        """
        if self._at.begun:
            self._go_to(Position(self._at.epoch + 1))
        self._at.begun = True
        begun = Loop(self._visit(self._at))
        self._loop = ref(begun)
        return begun

    def state_dict(self) -> dict[str, Any]:
        """The position of the loop: after the last batch that it has returned.

        Returns:
            Plain values, suitable for JSON.
        """
        return {
            "version": _STATE_VERSION,
            "epoch": self._at.epoch,
            "batches_done": self._at.done,
            **self._identity,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next loop continue from the position of a `state_dict`.

        The batches are the same, byte for byte, if the loader has the same arguments.

        Raises:
            LoaderError: the state is of other images, another order, other batches or other
                settings of the images and labels.
        """
        if not isinstance(state, Mapping):
            raise LoaderError(f"state must be what state_dict() returned, got {shortened(state)}")
        wanted = {"version": _STATE_VERSION, **self._identity}
        for name, value in wanted.items():
            if state.get(name) != value:
                raise LoaderError(
                    f"the state has {name} {state.get(name)!r} and this loader {value!r}. Open it "
                    "with the arguments of the loader that made the state."
                )
        self._go_to(Position.from_state(state, batches=len(self)))

    def close(self) -> None:
        """End the running loop, if any, and free threads and device memory."""
        self._retire()
        if self._end_dali is not None:
            self._end_dali()
        self._dali = self._end_dali = None

    def __enter__(self) -> Self:
        """Return the loader itself; `close` is called at the end of the `with` block."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close, with or without an exception."""
        self.close()

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """The arguments that a saved position, or what follows it, depends on."""
        pixels = self.preprocess
        return {
            "images": digest_of(self.paths),
            **asdict(self._plan),
            "size": pixels.size,
            "upright": pixels.upright,
            "mean": [*map(float, pixels.mean)],  # a list: as JSON gives it back
            "std": [*map(float, pixels.std)],
            "augmentation": asdict(self._augmentation),
            "difficult": self._difficult,
            "on_error": "skip" if self._skip_errors else "raise",
        }

    def _go_to(self, position: Position) -> None:
        self._retire()
        self._at = position  # a new object: an earlier loop may still update its own

    def _retire(self) -> None:
        begun = None if self._loop is None else self._loop()
        if begun is not None:
            begun.retire()
        self._loop = None

    def _visit(self, at: Position) -> Generator[Batch]:
        """Yield the batches from a position to the end of its epoch, and update the position."""
        with self._decoder() as loader, closing(self._decoded(loader, at)) as batches:
            for batch in batches:
                for failure in batch.failures:
                    self._note(failure)
                at.done += 1
                if len(batch.rows):
                    yield batch
        at.epoch, at.done, at.begun = at.epoch + 1, 0, False

    def _decoded(self, loader: ImageLoader, at: Position) -> Generator[Batch]:
        views = Views(self._augmentation, seed=self._plan.seed, epoch=at.epoch)
        left = self._plan.batches(at.epoch)[at.done :]
        for rows in joined_batches(left, batch_size=self._plan.batch_size):
            for batch in loader.batches(
                self._refs, labels=self.labels, order=rows.tolist(), views=views
            ):
                if batch.images.device == self.device:
                    yield batch
                else:
                    yield replace(batch, images=bring(batch.images, self.device))

    def _note(self, failure: Failure) -> None:
        path = self.paths[failure.row]
        if not self._skip_errors:
            fault = failure.fault
            raise LoaderError(
                f"{shown(path)}: {fault.reason}: {fault.detail}. Use on_error='skip' to skip such "
                "images."
            )
        skipped = SkippedImage(failure.row, path, str(failure.fault.reason), failure.fault.detail)
        self._skipped[failure.row] = skipped

    @contextmanager
    def _decoder(self) -> Iterator[ImageLoader]:
        """Open the decoder of one epoch; only DALI's is kept afterwards."""
        if self._dali is not None:
            yield self._dali
            return
        loader = open_loader(
            self._kind,
            self.preprocess,
            batch_size=self._plan.batch_size,
            device=str(self.device),
            threads=self._workers,
            max_pixels=self._max_pixels,
        )
        if isinstance(loader, DaliLoader):
            self._dali = loader
            self._end_dali = finalize(self, loader.close)
            yield loader
        else:
            with closing(loader):
                yield loader
