"""How 'difficult' labels are handled: ignored, or counted as positive or negative."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vocscore.errors import EvalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BECOMES = {"ignore": -1, "positive": 1, "negative": 0}
DIFFICULT_RULES = tuple(_BECOMES)


def apply_difficult(labels: NDArray[np.int8], rule: str) -> NDArray[np.int8]:
    """Apply the rule for a class of which an image shows only 'difficult' instances.

    Everything that learns from labels or counts them uses this, so that the loss, average
    precision and the counts agree. A class of which an image also shows an instance that is not
    difficult is 1 in `labels`, whatever the rule.

    Args:
        labels: int8, any shape: 1 present, 0 absent, -1 only difficult.
        rule: 'ignore' keeps -1, which never counts (the devkit's rule, and the default);
            'positive' and 'negative' make it 1 or 0, as some papers do.

    Returns:
        int8, same shape.

    Raises:
        EvalError: the rule is unknown.
    """
    if rule not in _BECOMES:
        raise EvalError(f"difficult {rule!r} is not one of {', '.join(_BECOMES)}.")
    return np.where(labels == -1, np.int8(_BECOMES[rule]), labels)
