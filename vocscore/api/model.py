"""A trained model in memory: `Model.predict` scores images with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from math import prod
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

import numpy as np

from vocscore.api.backbone import open_features
from vocscore.api.calls import Calls, SharedRuntime
from vocscore.api.heatmaps import column_of, full_pixels, one_image, open_class_maps, write_overlay
from vocscore.api.inputs import is_one
from vocscore.api.predictions import Predictions
from vocscore.api.small import MOST_IMAGES, SmallCalls
from vocscore.errors import ScoreError
from vocscore.pipeline.several_sizes import shape_of, unpack

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray
    from typing_extensions import Self

    from shards.sample import ImageRef
    from vocscore.api.inputs import Inputs, OneInput
    from vocscore.api.setup import Setup
    from vocscore.models.card import ModelCard
    from vocscore.pipeline.batch import ImageLoader
    from vocscore.runtime.base import Runtime


class Model:
    """A trained model, ready to predict; `load` creates it. Close it, or use a `with` block.

    It starts no processes and handles no signals. Several threads may use it at the same time, and
    several results may be consumed alternately; one `Predictions` belongs to one thread at a time.
    After `os.fork()` the child has none of its threads and must load a model of its own.

    Attributes:
        card: the description of the network.
        setup: how it was loaded.
    """

    def __init__(
        self, card: ModelCard, setup: Setup, *, runtime: Runtime, decoding: ImageLoader
    ) -> None:
        self.card = card
        self.setup = setup
        self._runtime = SharedRuntime(runtime)
        self._small = SmallCalls(
            self._runtime,
            self._open_single,
            group=setup.group,
            shape=shape_of(setup.sizes(card)),
        )
        self._features: tuple[Runtime, int] | None = None
        self._maps: tuple[Runtime, tuple[int, ...]] | None = None
        self._opening = Lock()
        self._calls = Calls(card, setup, decoding)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `Prediction.vector`."""
        return self.card.classes

    @property
    def thresholds(self) -> NDArray[np.float32]:
        """float32, shape (C,): the minimum probability of a label, per class."""
        at = np.asarray(self.card.decision_threshold, np.float32)
        thresholds: NDArray[np.float32] = np.broadcast_to(at, len(self.classes)).copy()
        return thresholds

    @property
    def size(self) -> int:
        """Height and width of the network's input, pixels."""
        return self.card.preprocess.size

    @property
    def backbone(self) -> str:
        """The name of the torchvision model below the head."""
        return self.card.backbone

    def predict(self, inputs: Inputs) -> Predictions:
        """Score images: one result for each, in order, computed as they are consumed.

        An image that cannot be read or decoded gives a result with an `error`, never an exception.

        For the paths of a list, a folder or a folder of shards, probabilities equal those that
        `vocscore score` writes for the same list, folder or shards to the last bit, on the same
        machine with the same device, precision and loader, and with the default --unit-size
        (on a GPU: and the same batch size). Other inputs differ by at most 1e-6 from the same
        image in a list of paths, if the pixels are the same: large JPEGs are decoded at a half to
        an eighth of their size from files or bytes, but have full size in a PIL image or an array.

        `vocscore.machine.set_too_late` returns the variables that could not be set because torch
        was loaded before vocscore, and explains their effect.

        On a CPU, a call costs at least as much as 32 images, as in `vocscore score`. After some
        calls with at most 8 images, the network is also compiled for single images, which takes
        seconds once per machine; from then on such calls cost only what their images take, if a
        test has shown equal bits.

        Args:
            inputs: one input, or any iterable of inputs, mixed: paths (folders are searched as by
                `vocscore score`, tars and packed datasets are read), the bytes of image files, PIL
                images (turned by their EXIF orientation like files), uint8 arrays of shape
                (H, W, 3) RGB, (H, W) or (H, W, 1) gray, (H, W, 4) with alpha, which is dropped,
                and uint8 tensors of shape (3, H, W). Arrays and PIL images are copied when they are
                read. An iterator is a stream: the caller's thread reads it, at most 192 images
                ahead of the results (on a GPU three batches, if that is more), and its results are
                not stored.

        Raises:
            TypeError: at once or while results are consumed: an input is of another kind.
            ScoreError: the model is closed, or was loaded before a fork; while results are
                consumed: a folder has no image, or the model returns NaN.
        """
        self._calls.refuse_unusable()
        is_one(inputs)
        return Predictions(
            self._calls.blocks(inputs, self._fitting, columns=len(self.classes)),
            classes=self.classes,
            thresholds=self.thresholds,
            activation=self.card.activation,
            remember=not isinstance(inputs, Iterator),
        )

    def features(
        self, inputs: Inputs, *, on_error: Literal["raise", "nan"] = "raise"
    ) -> NDArray[np.float32]:
        """Compute the backbone's features, before the head; in float32 for every model.

        With `tta` they are the mean of the views. The first call loads the backbone, which takes
        seconds.

        Args:
            inputs: as for `predict`.
            on_error: for an image that cannot be decoded: 'raise', or 'nan' for a row of NaN.

        Returns:
            float32, shape (N, F), in the order of the inputs.

        Raises:
            ScoreError: the first image that cannot be decoded, by name; or the model is closed, or
                was loaded before a fork.
            TypeError: an input is of another kind.
            ValueError: `on_error` is something else.
        """
        self._refuse_arguments(inputs, on_error)
        with self._opening:
            if self._features is None:
                runtime, width = open_features(self.setup)
                self._features = SharedRuntime(runtime), width
        return self._rows(inputs, *self._features, on_error=on_error)

    def heatmaps(
        self, inputs: Inputs, *, on_error: Literal["raise", "nan"] = "raise"
    ) -> NDArray[np.float32]:
        """Compute where in an image each class is seen; in float32 for every model.

        A value is the logit of an image that shows everywhere what this one shows at that place.
        With a linear head the mean of a map is the image's logit; with `--head csra` attention adds
        to it. The map covers what the network sees: with `--fit squash` the whole image. With `tta`
        it is still that of the image as it is, in the model's size.

        Args:
            inputs: as for `predict`.
            on_error: for an image that cannot be decoded: 'raise', or 'nan' for maps of NaN.

        Returns:
            float32, shape (N, C, h, w), in the order of the inputs; h and w are the backbone's: 8
            for ResNet-18 at 256 pixels.

        Raises:
            CheckpointError: the backbone has no spatial map, or the head does not use it.
            ScoreError: as for `features`.
            TypeError: an input is of another kind.
            ValueError: `on_error` is something else.
        """
        self._refuse_arguments(inputs, on_error)
        with self._opening:
            if self._maps is None:
                runtime, shape = open_class_maps(self.setup)
                self._maps = SharedRuntime(runtime), shape
        runtime, shape = self._maps
        return self._rows(inputs, runtime, prod(shape), on_error=on_error).reshape(-1, *shape)

    def save_heatmap(self, image: OneInput, file: str | os.PathLike[str], *, label: str) -> None:
        """Draw one class's heat map over an image, and write it as PNG.

        The color goes from yellow to red, and covers more, the higher the probability is.

        Args:
            image: one image.
            file: to write; an existing one is replaced.
            label: name of the class.

        Raises:
            CheckpointError: as for `heatmaps`.
            ScoreError: the image cannot be decoded.
            TypeError: it is of another kind, or not one image.
            ValueError: the model has no such class.
            OSError: the file cannot be written.
        """
        column, most = column_of(label, self.classes), self.setup.max_pixels
        ref = one_image(image, upright=self.card.preprocess.upright, max_pixels=most)
        (maps,) = self.heatmaps(image)
        write_overlay(Path(file), self._seen(ref), maps[column])

    def _seen(self, ref: ImageRef) -> NDArray[np.uint8]:
        """What a map covers, uint8 (H, W, 3): the whole image, or the network's view of it."""
        preprocess = self.card.preprocess
        if preprocess.fit == "squash":
            return full_pixels(ref, upright=preprocess.upright, max_pixels=self.setup.max_pixels)
        (batch,) = self._calls.decoding.batches([ref])
        own = unpack(batch.images, self.setup.sizes(self.card))[0]
        view: NDArray[np.uint8] = own[0].permute(1, 2, 0).cpu().numpy()
        return view

    def _rows(
        self, inputs: Inputs, runtime: Runtime, width: int, *, on_error: str
    ) -> NDArray[np.float32]:
        """The rows, float32 (N, width), that a part of the network computes."""
        whole = runtime, self.setup.group
        parts = [np.empty((0, width), np.float32)]
        with closing(self._calls.blocks(inputs, lambda _images: whole, columns=width)) as blocks:
            for block in blocks:
                if block.errors and on_error == "raise":
                    row = min(block.errors)
                    raise ScoreError(f"{block.names[row]}: {block.errors[row]}")
                parts.append(block.numbers)
        return np.concatenate(parts)

    def close(self) -> None:
        """End the decoding threads; results that are not yet consumed are lost."""
        self._calls.close()

    def __enter__(self) -> Self:
        """Return the model itself; `close` is called at the end of the `with` block."""
        self._calls.refuse_unusable()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close, with or without an exception."""
        self.close()

    def __repr__(self) -> str:
        """Describe the model and how it was loaded."""
        setup = self.setup
        return (
            f"<Model {setup.run}: {self.backbone}, {len(self.classes)} classes, {self.size} px, "
            f"{setup.precision} on {setup.device}{', closed' if self._calls.closed else ''}>"
        )

    def _refuse_arguments(self, inputs: Inputs, on_error: str) -> None:
        """Check what `features` and `heatmaps` take, before anything is opened."""
        if on_error not in ("raise", "nan"):
            raise ValueError(f"on_error must be 'raise' or 'nan', got {on_error!r}")
        self._calls.refuse_unusable()
        is_one(inputs)

    def _fitting(self, images: int) -> tuple[Runtime, int]:
        """The network for a number of images, and its batch size."""
        if self.setup.device == "cpu" and images <= MOST_IMAGES:
            single = self._small.single()
            if single is not None:
                return single, 1
        return self._runtime, self.setup.group

    def _open_single(self) -> Runtime:
        return SharedRuntime(self.setup.open(group=1)[0])
