"""The files of a checkpoint, read and hashed once per run, without torch.

A command checks the model before importing torch, which needs the hash of the weights, and builds
the network from the same weights later. `hold` keeps the bytes in between, for `take`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vocscore.errors import CheckpointError
from vocscore.models.card import CARD_FILE
from vocscore.models.card_file import identity_of, parse_card, read_file, to_card, weights_file_of

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.models.card import ModelCard

_held: dict[str, CheckpointFiles] = {}
"""By identity, so that they cannot be outdated; at most one."""


@dataclass
class CheckpointFiles:
    """The content of a checkpoint when it was read.

    Attributes:
        folder: folder of the checkpoint.
        identity: as computed by `checkpoint_hash`.
        written: the JSON of the card.
        card_bytes: the bytes of the card's file.
    """

    folder: Path
    identity: str
    written: dict[str, Any] = field(repr=False)
    card_bytes: bytes = field(repr=False)
    _weights: bytes | None = field(repr=False)

    @cached_property
    def card(self) -> ModelCard:
        """The card.

        Raises:
            CheckpointError: a value is missing or invalid.
        """
        return to_card(self.written, self.folder)

    @property
    def weights_file(self) -> Path:
        """The file with the weights."""
        return self.folder / weights_file_of(self.written)

    def weights(self) -> bytes:
        """Return the bytes of the weights' file; read them again if they were released.

        They are not compared with their hash in the card.

        Raises:
            CheckpointError: the files in the folder have changed.
        """
        if self._weights is not None:
            return self._weights
        found = read_file(self.weights_file)
        if identity_of(self.card_bytes, found) != self.identity:
            raise _replaced(self.folder)
        return found

    def verified_weights(self) -> bytes:
        """Return the same once they are those that the card was written with, and release them.

        Raises:
            CheckpointError: they are not, or the files in the folder have changed.
        """
        weights = self.weights()
        self.release()  # otherwise a second copy stays in memory while the network is converted
        if hashlib.sha256(weights).hexdigest() != self.written.get("weights_sha256"):
            raise CheckpointError(
                f"{self.weights_file}: not the weights that {CARD_FILE} was written with "
                f"(saving was interrupted or a file was replaced). Train again, or copy both files "
                f"again."
            )
        return weights

    def release(self) -> None:
        """Free the memory of the weights."""
        self._weights = None


def read_checkpoint(folder: Path) -> CheckpointFiles:
    """Read both files of a checkpoint, each once.

    Raises:
        CheckpointError: a file is missing, or the card is damaged or of a newer format.
    """
    card = read_file(folder / CARD_FILE)
    written = parse_card(card, folder)
    to_card(written, folder)  # before the weights, which may be large
    weights = read_file(folder / weights_file_of(written))
    return CheckpointFiles(folder, identity_of(card, weights), written, card, weights)


def hold(files: CheckpointFiles) -> None:
    """Keep files in memory until `take`, in place of those held before."""
    _held.clear()
    _held[files.identity] = files


def take(folder: Path, *, identity: str) -> CheckpointFiles:
    """Return the files with a certain hash: those held, or else those in the folder.

    Args:
        folder: folder of the checkpoint.
        identity: its hash when it was chosen, maybe days ago and by another process.

    Raises:
        CheckpointError: the files in the folder have another hash, or are damaged.
    """
    files = _held.pop(identity, None) or read_checkpoint(folder)
    if files.identity != identity:
        raise _replaced(folder)
    return files


def _replaced(folder: Path) -> CheckpointError:
    return CheckpointError(
        f"{folder}: replaced while it was in use. Finished units are kept: put the old checkpoint "
        "back to continue with them."
    )
