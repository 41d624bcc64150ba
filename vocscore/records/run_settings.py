"""The settings of a training as its `config.json` has them: a contract with every run there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vocscore.config.groups import flat
from vocscore.records.keys import stored

if TYPE_CHECKING:
    from vocscore.config.training import TrainConfig

SEED = "seed"
"""The key of the seed, which stands apart from the other settings in the file."""


def recorded_settings(config: TrainConfig) -> dict[str, Any]:
    """Every setting under its key on disk, without the seed.

    Options may get other names; the keys stay, so that runs that were trained or interrupted by
    earlier versions are still read and resumed.
    """
    values = flat(config)
    del values["seed"]
    return stored(values)
