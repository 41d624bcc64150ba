"""The settings of a training in `config.json`: a stable format that all runs share."""

from __future__ import annotations

from typing import Any, Final

from vocscore.config.groups import declared, flat
from vocscore.config.training import TrainConfig
from vocscore.records.keys import stored

SEED = "seed"
"""The key of the seed, which is separate from the other settings in the file."""
FOLDS = "folds"
"""The key of the number of folds, which does not affect the model; missing in older runs."""
_LATER: Final = frozenset(
    {
        *("fit", "interpolation", "crop_fraction", "pad_color"),
        *("head", "csra_lambda", "csra_temperature"),
        *("solver", "l2"),
    }
)
"""Options that older runs do not have; they are written where they differ from their defaults."""


def unrecorded_settings() -> dict[str, Any]:
    """The settings that a run with the defaults does not record, under their keys on disk.

    They are in the order of the options: of two that differ, the one that needs the other is later.
    """
    usual = {option.name: option.default for option in declared(TrainConfig)}
    return stored({name: value for name, value in usual.items() if name in _LATER})


def recorded_settings(config: TrainConfig) -> dict[str, Any]:
    """Every setting under its key on disk, without the seed.

    Options may be renamed; keys stay, so that runs that were trained or interrupted by earlier
    versions can be read and resumed.
    """
    values = flat(config)
    del values["seed"]
    usual = unrecorded_settings()
    return {k: v for k, v in stored(values).items() if k not in usual or v != usual[k]}
