"""The names under which settings stand in files: a contract with every run there is.

Options may get other names; the keys of a run's `config.json` stay as they are, so that runs
trained or interrupted by earlier versions are still read and resumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vocscore.config.groups import flat

if TYPE_CHECKING:
    from vocscore.config.training import TrainConfig

LOADER: Final = "maker"
"""The key in `config.json` of `ComputeConfig.loader`."""
SEED: Final = "seed"

SETTINGS: Final = {
    "backbone": "backbone",
    "weights": "weights",
    "size": "size",
    "threshold": "threshold",
    "train_split": "train_split",
    "val_split": "val_split",
    "max_pixels": "max_pixels",
    "difficult": "difficult",
    "tune": "tune",
    "epochs": "epochs",
    "batch_size": "batch_size",
    "optimizer": "optimiser",
    "learning_rate": "learning_rate",
    "backbone_rate": "backbone_rate",
    "momentum": "momentum",
    "weight_decay": "weight_decay",
    "schedule": "schedule",
    "warmup": "warmup",
    "clip": "clip",
    "ema": "ema",
    "standardize": "standardise",
    "precision": "precision",
    "loss": "loss",
    "class_weight": "class_weight",
    "gamma_positive": "gamma_positive",
    "gamma_negative": "gamma_negative",
    "margin": "margin",
    "keep": "keep",
    "patience": "patience",
    "thresholds": "thresholds",
    "calibrate": "calibrate",
    "crop_scale": "crop_scale",
    "flip": "flip",
    "jitter": "jitter",
}
"""Option of `TrainConfig` -> key in `config.json`, in the order of the file; the seed stands
further below in it."""


def recorded_settings(config: TrainConfig) -> dict[str, Any]:
    """The settings of a training as its `config.json` has them, without the seed."""
    values = flat(config)
    return {key: values[name] for name, key in SETTINGS.items()}
