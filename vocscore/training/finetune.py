"""Fine-tuning: trains a whole network on images that are decoded in every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vocscore.pipeline.augment import Views
from vocscore.pipeline.batch import Batch
from vocscore.pipeline.devices import bring, is_gpu
from vocscore.runtime.precision import computes_in_bf16
from vocscore.training.allocation import reused_memory
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
    from vocscore.config.optimization import OptimizationConfig
    from vocscore.config.training import AugmentationConfig
    from vocscore.models.network import Network
    from vocscore.ranks import Ranks
    from vocscore.training.features import Decoding
    from vocscore.training.losses import Loss
    from vocscore.training.splits import Splits


class FinetuneTrainer:
    """Trains every parameter of a network.

    Args:
        network: on the device of `decoding`; it is trained in place.
        splits: images and labels.
        decoding: how the images are decoded.
        choice: the optimization settings.
        loss: the training loss.
        augmentation: for training images.
        seed: for the order of rows and for augmentation; not below 0.
    """

    def __init__(
        self,
        network: Network,
        splits: Splits,
        *,
        decoding: Decoding,
        choice: OptimizationConfig,
        loss: Loss,
        augmentation: AugmentationConfig,
        seed: int,
    ) -> None:
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

        The training split's outcome comes from the training steps themselves (dropout and batch
        statistics active, the weights moving, images augmented): measuring it afterwards would
        cost another pass.
        The validation split is measured in float32, whatever the precision of the steps.

        With several processes, only the first calls this; the others run `follow`.
        """
        from_first(number, self._decoding.ranks)
        during, after = self._pass(number)
        return (
            self._outcome(self._splits.train, during, number),
            self._outcome(self._splits.val, after, number),
        )

    def follow(self) -> None:
        """Take part in the first process's epochs until it ends them."""
        ranks = self._decoding.ranks
        while number := from_first(0, ranks):
            # For dropout: different numbers per process, and the same ones after a resume.
            words = np.random.SeedSequence((self._seed, ranks.rank, number))
            torch.manual_seed(int(words.generate_state(1, np.uint64)[0]) >> 1)
            for visit in self._pass(number):
                visit.gathered(ranks)

    def end(self) -> None:
        """Tell the following processes to stop."""
        from_first(0, self._decoding.ranks)

    def _pass(self, number: int) -> tuple[Visit, Visit]:
        """Run this process's part of an epoch: the training split, then the validation split."""
        if is_gpu(self._decoding.device):
            return self._train(number), self._validate()
        with reused_memory():
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
            # DDP averages gradients over processes; the result must be the whole batch's gradient.
            part = known(split, batch.rows) / max(known(split, rows), 1)
            self._learner.step(loss * (ranks.size * part))
        return visit

    def _validate(self) -> Visit:
        split = self._splits.val
        rows = share(np.arange(len(split.images)), self._decoding.ranks)
        network = self._learner.best.eval()
        visit = Visit(split.labels.shape[1])
        for batch in self._decoding.batches(split, rows):
            with torch.no_grad():  # not around the loader, which sets its own modes
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
        """Run a batch through the network, record the results, and return its mean loss."""
        device = self._decoding.device
        pixels = self._decoding.input(batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = network(pixels)
        labels = bring(torch.from_numpy(split.labels[batch.rows]), device)
        visit.rows.append(torch.from_numpy(batch.rows))
        visit.logits.append(logits.detach().float())
        return visit.losses.add(*self._loss(logits.float(), labels))

    def _outcome(self, split: LabeledImages, visit: Visit, number: int) -> SplitOutcome:
        """Assemble the logits of all processes by row; each row must appear exactly once."""
        rows, logits, sums = visit.gathered(self._decoding.ranks)
        at = torch.cat(rows).numpy()
        times = np.bincount(at, minlength=len(split.images))
        assert (times == 1).all(), f"rows not visited once: {np.flatnonzero(times != 1)[:5]}"
        table = np.empty(split.labels.shape, dtype=np.float32)
        table[at] = torch.cat(logits).numpy()
        # Per step; a process may have had fewer steps.
        steps = torch.nn.utils.rnn.pad_sequence(sums).sum(1)
        return SplitOutcome(mean_loss(steps, epoch=number), split.labels, table)

    def rate(self) -> float:
        """See `Trainer`."""
        return self._learner.rate

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Trainer`."""
        return copied(self._learner.best.state_dict())

    def state(self) -> dict[str, Any]:
        """See `Trainer`."""
        return self._learner.state()

    def restore(self, state: dict[str, Any]) -> None:
        """See `Trainer`."""
        self._learner.restore(state)


class Visit:
    """This process's results on a split, in the order of its batches.

    Args:
        classes: C.
    """

    def __init__(self, classes: int) -> None:
        self.rows = [torch.zeros(0, dtype=torch.int64)]
        self.logits = [torch.zeros(0, classes)]
        self.losses = Losses()

    def gathered(self, ranks: Ranks) -> tuple[list[torch.Tensor], ...]:
        """Gather in the first process everyone's rows int64 (N,), logits float32 (N, C), loss sums.

        The other processes send theirs and get three empty lists.
        """
        device = self.logits[-1].device
        logits = torch.cat([part.to(device) for part in self.logits]).cpu()
        own = (torch.cat(self.rows), logits, self.losses.sums())
        return tuple(gather(tensor, ranks) for tensor in own)


def known(split: LabeledImages, rows: NDArray[np.int64]) -> int:
    """Count the labels of some rows that are not 'difficult'."""
    return int((split.labels[rows] >= 0).sum())


def in_bf16(precision: str, *, device: torch.device) -> bool:
    """Whether the steps are computed in bfloat16 (autocast: weights and losses stay float32).

    Args:
        precision: 'float32', 'bf16', or 'auto': bf16 where the device has instructions for it;
            elsewhere bf16 gives correct results but is slower than float32.
        device: where the network is.
    """
    if precision != "auto":
        return precision == "bf16"
    return computes_in_bf16(str(device))


def regroup(batches: Iterable[Batch], sizes: Sequence[int], *, side: int) -> Iterator[Batch]:
    """Join batches into larger ones; all are used up.

    Args:
        batches: as they come from a loader.
        sizes: images per batch; each is the sum of the next few `batches`, or 0.
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
