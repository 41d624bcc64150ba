"""The inference loops of others beside `vocscore score`: only those whose probabilities agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from bench.peers.loops import USUAL, open_loops

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack

    import torch

    from bench.peers.loops import Loop
    from bench.peers.task import Task
    from bench.timing import Timed
    from vocscore.models.card import ModelCard

LARGEST_DIFFERENCE = 0.005
"""Of a probability, to the usual loop: all decode and resize with Pillow, all run eager float32."""


class Scorer(nn.Module):
    """A checkpoint as others would load it: images in, probabilities out, in eager float32."""

    def __init__(self, network: nn.Module, card: ModelCard) -> None:
        """Put the card's last step behind the network."""
        super().__init__()
        self._network = network
        self._card = card

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Float32 images (N, 3, size, size) to probabilities (N, C)."""
        return self._card.probabilities(self._network(images))


@dataclass(frozen=True)
class Peers:
    """Those that take part.

    Attributes:
        work: name -> one turn; the usual loop is the first.
        absent: name -> why not, one line.
        differences: name -> largest difference of a probability to the usual loop.
    """

    work: Mapping[str, Callable[[], Timed]]
    absent: Mapping[str, str]
    differences: Mapping[str, float]


def open_peers(
    task: Task, network: nn.Module, closing: ExitStack, *, names: tuple[str, ...]
) -> Peers:
    """Open loops and let each score the images once.

    Args:
        task: the images of a turn.
        network: float32 images (N, 3, size, size) to probabilities (N, C).
        closing: ends their workers.
        names: of `bench.peers.loops.LOOPS`, beside the usual one.
    """
    work: dict[str, Callable[[], Timed]] = {}
    absent: dict[str, str] = {}
    differences: dict[str, float] = {}
    truth = None
    for name in (USUAL, *names):
        # one after the other: worker processes are forked before Ray starts threads
        loops, without = open_loops(task, network, closing, names=(name,))
        absent |= without
        for loop in loops.values():
            found, _ = loop.run()
            truth = found if truth is None else truth
            differences[name] = float(np.abs(found - truth).max())
            if differences[name] > LARGEST_DIFFERENCE:
                absent[name] = f"not the same work: probabilities differ by {differences[name]:.3f}"
            else:
                work[name] = _turn_of(loop)
    return Peers(work, absent, differences)


def _turn_of(loop: Loop) -> Callable[[], Timed]:
    return lambda: loop.run()[1]
