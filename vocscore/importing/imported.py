"""What a reader of one form of model returns: the run to be written, and the original to compare.

There is one reader per form (a state dict, a folder in timm's form, an ONNX file). Each is called
as `read(file, request)`, and `vocscore.importing.job` chooses it by the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from vocscore.config.importing import ImportConfig
    from vocscore.models.card import ModelCard

Original: TypeAlias = "Callable[[torch.Tensor], NDArray[np.float32]]"
"""Decoded images as the loaders give them, uint8 (N, 3, S, S) RGB on the CPU, N >= 1 -> the outputs
of the original in its own library, float32 (N, C), before the card's activation. It normalizes the
images itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asks for.

    Attributes:
        config: every option.
        classes: names of the outputs, in order; None if no `--classes` was given.
        stage: called with the name of each stage as it starts.
    """

    config: ImportConfig
    classes: tuple[str, ...] | None
    stage: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """A model that was read, and is not yet written.

    Attributes:
        card: of the run.
        save: writes the run's files, the card included, into an empty folder.
        original: the model in its own library.
        library: its name, for messages: 'PyTorch', 'ONNX Runtime'.
        unproved: what the comparison cannot show, one sentence each.
        activated: whether `original` gives probabilities, because the original has the activation
            inside.
    """

    card: ModelCard
    save: Callable[[Path], None]
    original: Original
    library: str
    unproved: tuple[str, ...] = ()
    activated: bool = False
