"""A whole network on images that are decoded anew in each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vocscore.pipeline.augment import Views
from vocscore.pipeline.batch import Batch
from vocscore.pipeline.devices import bring
from vocscore.runtime.precision import computes_in_bf16
from vocscore.training.distributed import from_first, gather, with_shared_gradients
from vocscore.training.learner import Learner
from vocscore.training.losses import Losses, mean_loss
from vocscore.training.trainer import (
    SplitOutcome,
    copied,
    epoch_order,
    row_batches,
    share,
    steps_an_epoch,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from shards.reader import LabeledImages
    from vocscore.models.network import Network
    from vocscore.pipeline.augment import Augmentation
    from vocscore.ranks import Ranks
    from vocscore.training.choices import Optimization
    from vocscore.training.features import Decoding
    from vocscore.training.losses import Loss
    from vocscore.training.splits import Splits


class FinetuneTrainer:
    """Trains every parameter of a network.

    Args:
        network: on the device of `decoding`; it is trained in place.
        splits: images and labels.
        decoding: how the images reach the network.
        choice: how the network is moved.
        loss: what is made small.
        augmentation: what is done to training images.
        seed: of the order of the rows, and of what is done to each; not below 0.
    """

    def __init__(
        self,
        network: Network,
        splits: Splits,
        *,
        decoding: Decoding,
        choice: Optimization,
        loss: Loss,
        augmentation: Augmentation,
        seed: int,
    ) -> None:
        """Keep what every epoch needs."""
        self._splits = splits
        self._decoding = decoding
        self._loss = loss
        self._augmentation = augmentation
        self._seed = seed
        self._batch_size = choice.batch_size
        self._bf16 = in_bf16(choice.precision, device=decoding.device)
        steps = steps_an_epoch(len(splits.train.images), batch_size=choice.batch_size)
        self._learner = Learner(network, choice, steps_an_epoch=steps)
        self._forward = with_shared_gradients(network, decoding.ranks)

    def epoch(self, number: int) -> tuple[SplitOutcome, SplitOutcome]:
        """Train, then validate.

        The training split's outcome is that of the training steps themselves (dropout and batch
        statistics active, the weights moving, images augmented): measuring it afterwards would
        cost another pass.
        The validation split is measured in float32, whatever the steps are computed in.

        Of several processes, this is the first one's; the others are in `follow`.
        """
        from_first(number, self._decoding.ranks)
        during, after = self._pass(number)
        return (
            self._outcome(self._splits.train, during, number),
            self._outcome(self._splits.val, after, number),
        )

    def follow(self) -> None:
        """Take part in the epochs of the first process, until it has no more."""
        ranks = self._decoding.ranks
        while number := from_first(0, ranks):
            # For dropout: numbers of one's own, and the same ones in a training that is resumed.
            words = np.random.SeedSequence((self._seed, ranks.rank, number))
            torch.manual_seed(int(words.generate_state(1, np.uint64)[0]) >> 1)
            for visit in self._pass(number):
                visit.gathered(ranks)

    def end(self) -> None:
        """Let those go that follow."""
        from_first(0, self._decoding.ranks)

    def _pass(self, number: int) -> tuple[Visit, Visit]:
        """This process's part of an epoch: the training split's, then the validation split's."""
        return self._train(number), self._validate()

    def _train(self, number: int) -> Visit:
        split, ranks = self._splits.train, self._decoding.ranks
        order = epoch_order(len(split.images), seed=self._seed, epoch=number)
        steps = row_batches(order, batch_size=self._batch_size)
        own = [share(rows, ranks) for rows in steps]
        views = Views(self._augmentation, seed=self._seed, epoch=number)
        batches = self._decoding.batches(split, np.concatenate(own), views=views)
        self._learner.module.train()
        visit = Visit(split.labels.shape[1])
        side = self._decoding.preprocess.size
        shares = regroup(batches, [len(rows) for rows in own], side=side)
        for rows, batch in zip(steps, shares, strict=True):
            loss = self._visited(visit, self._forward, split, batch, bf16=self._bf16)
            # Gradients are averaged over processes; they are to be the whole batch's.
            part = known(split, batch.rows) / max(known(split, rows), 1)
            self._learner.step(loss * (ranks.size * part))
        return visit

    def _validate(self) -> Visit:
        split = self._splits.val
        rows = share(np.arange(len(split.images)), self._decoding.ranks)
        network = self._learner.best.eval()
        visit = Visit(split.labels.shape[1])
        for batch in self._decoding.batches(split, rows):
            with torch.no_grad():  # not around the loader, which has its own rules
                self._visited(visit, network, split, batch, bf16=False)
        return visit

    def _visited(
        self,
        visit: Visit,
        network: nn.Module,
        split: LabeledImages,
        batch: Batch,
        *,
        bf16: bool,
    ) -> torch.Tensor:
        """Send a batch through and note what came; its mean loss comes back."""
        device = self._decoding.device
        pixels = self._decoding.input(batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = network(pixels)
        labels = bring(torch.from_numpy(split.labels[batch.rows]), device)
        visit.rows.append(torch.from_numpy(batch.rows))
        visit.logits.append(logits.detach().float())
        return visit.losses.add(*self._loss(logits.float(), labels))

    def _outcome(self, split: LabeledImages, visit: Visit, number: int) -> SplitOutcome:
        """Put the logits of all processes beside their images; each has to be there once."""
        rows, logits, sums = visit.gathered(self._decoding.ranks)
        at = torch.cat(rows).numpy()
        times = np.bincount(at, minlength=len(split.images))
        assert (times == 1).all(), f"rows not visited once: {np.flatnonzero(times != 1)[:5]}"
        table = np.empty(split.labels.shape, dtype=np.float32)
        table[at] = torch.cat(logits).numpy()
        # Step by step; a process may have had fewer of them.
        steps = torch.nn.utils.rnn.pad_sequence(sums).sum(1)
        return SplitOutcome(mean_loss(steps, epoch=number), split.labels, table)

    def rate(self) -> float:
        """See `Fit`."""
        return self._learner.rate

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Fit`."""
        return copied(self._learner.best.state_dict())

    def state(self) -> dict[str, Any]:
        """See `Fit`."""
        return self._learner.state()

    def restore(self, state: dict[str, Any]) -> None:
        """See `Fit`."""
        self._learner.restore(state)


class Visit:
    """What came of this process's images of a split, in the order in which they came.

    Args:
        classes: C.
    """

    def __init__(self, classes: int) -> None:
        """Start from nothing."""
        self.rows = [torch.zeros(0, dtype=torch.int64)]
        self.logits = [torch.zeros(0, classes)]
        self.losses = Losses()

    def gathered(self, ranks: Ranks) -> tuple[list[torch.Tensor], ...]:
        """Each process's rows int64 (N,), logits float32 (N, C) and sums of losses, in the first.

        In the others they are sent, and three empty lists come back.
        """
        device = self.logits[-1].device
        logits = torch.cat([part.to(device) for part in self.logits]).cpu()
        own = (torch.cat(self.rows), logits, self.losses.sums())
        return tuple(gather(tensor, ranks) for tensor in own)


def known(split: LabeledImages, rows: NDArray[np.int64]) -> int:
    """Labels of some rows that are not 'difficult'."""
    return int((split.labels[rows] >= 0).sum())


def in_bf16(precision: str, *, device: torch.device) -> bool:
    """Whether the steps are computed in bfloat16 (autocast: weights and losses stay float32).

    Args:
        precision: 'float32', 'bf16', or 'auto': bf16 where the device has instructions for it.
            On others it is correct, and slower than float32.
        device: where the network is.
    """
    if precision != "auto":
        return precision == "bf16"
    return computes_in_bf16(str(device))


def regroup(batches: Iterable[Batch], sizes: Sequence[int], *, side: int) -> Iterator[Batch]:
    """Batches of other sizes, made by joining; all are used up.

    Args:
        batches: as they come from a loader.
        sizes: images a batch; each is the sum of the next few `batches`, or 0.
        side: of the images, pixels.
    """
    coming = iter(batches)
    for wanted in sizes:
        parts: list[Batch] = []
        while sum(len(part.rows) for part in parts) < wanted:
            parts.append(next(coming))
        yield parts[0] if len(parts) == 1 else _joined(parts, side=side)
    assert next(coming, None) is None


def _joined(parts: Sequence[Batch], *, side: int) -> Batch:
    none = torch.empty((0, 3, side, side), dtype=torch.uint8)
    images = torch.cat([part.images for part in parts]) if parts else none
    return Batch(images, np.concatenate([np.arange(0), *(part.rows for part in parts)]))
