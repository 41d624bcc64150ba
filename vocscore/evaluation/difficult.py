"""The one meaning of 'difficult', and the two others that papers give it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vocscore.errors import EvalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BECOMES = {"ignore": -1, "positive": 1, "negative": 0}
DIFFICULT_RULES = tuple(_BECOMES)


def apply_difficult(labels: NDArray[np.int8], rule: str) -> NDArray[np.int8]:
    """Say what a class of which an image shows only 'difficult' instances is.

    Everything that learns from labels or counts them goes through here, so that the loss, average
    precision and the counts mean the same. A class of which an image also shows an instance that
    is not difficult is 1 in `labels`, whatever the rule.

    Args:
        labels: int8, any shape: 1 present, 0 absent, -1 only difficult.
        rule: 'ignore' keeps -1, which weighs nothing anywhere (the devkit's way, and the default);
            'positive' and 'negative' make it 1 or 0, as some papers do.

    Returns:
        int8, same shape.

    Raises:
        EvalError: there is no such rule.
    """
    if rule not in _BECOMES:
        raise EvalError(f"difficult {rule!r} is none of {', '.join(_BECOMES)}.")
    return np.where(labels == -1, np.int8(_BECOMES[rule]), labels)
