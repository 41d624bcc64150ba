"""The results of one unit, as the formats write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shards.errors import Fault


@dataclass(frozen=True, slots=True)
class Rows:
    """A scored unit.

    Attributes:
        names: one per row.
        probabilities: float32, shape (len(names), C), 0 to 1; 0 where the image failed.
        failures: row -> why it has no probabilities.
        features: float32, shape (len(names), F), NaN where the image failed; None if they were not
            asked for.
    """

    names: Sequence[str]
    probabilities: NDArray[np.float32]
    failures: Mapping[int, Fault]
    features: NDArray[np.float32] | None = None
