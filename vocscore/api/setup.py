"""How a model was loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocscore.config.tta import sizes_of
from vocscore.runtime.scorer import open_scorer

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.config.tta import Tta
    from vocscore.models.card import ModelCard
    from vocscore.runtime.base import Runtime


@dataclass(frozen=True, slots=True)
class Setup:
    """How a model was loaded.

    Attributes:
        run: the folder of the checkpoint.
        identity: its hash.
        device: 'cpu' or 'cuda:N'.
        precision: 'float32', 'bf16' or 'int8'.
        group: the network's batch size.
        max_pixels: largest width times height of an image that is decoded.
        tta: the views of each image; None: as it is.
    """

    run: Path
    identity: str
    device: str
    precision: str
    group: int
    max_pixels: int
    tta: Tta | None = None

    def open(self, *, group: int | None = None) -> tuple[Runtime, ModelCard]:
        """Open the network, by default for the batch size of the setup."""
        return open_scorer(
            self.run,
            identity=self.identity,
            device=self.device,
            precision=self.precision,
            group=self.group if group is None else group,
            tta=self.tta,
        )

    def sizes(self, card: ModelCard) -> tuple[int, ...]:
        """Return the sizes in which images are decoded, pixels."""
        return sizes_of(self.tta, card.preprocess.size)
