"""The settings of a training in `config.json`: a stable format that all runs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vocscore.config.groups import flat
from vocscore.records.keys import stored

if TYPE_CHECKING:
    from vocscore.config.training import TrainConfig

SEED = "seed"
"""The key of the seed, which is separate from the other settings in the file."""
FOLDS = "folds"
"""The key of the number of folds, which does not affect the model; missing in older runs."""


def recorded_settings(config: TrainConfig) -> dict[str, Any]:
    """Every setting under its key on disk, without the seed.

    Options may be renamed; keys stay, so that runs that were trained or interrupted by earlier
    versions can be read and resumed.
    """
    values = flat(config)
    del values["seed"]
    return stored(values)
