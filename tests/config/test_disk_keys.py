"""The keys that settings have on disk are a contract with every run there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from vocscore.config.groups import build
from vocscore.config.training import TrainConfig
from vocscore.errors import TrainError
from vocscore.records.run_settings import recorded_settings
from vocscore.training.run_folder import check_same

if TYPE_CHECKING:
    from pathlib import Path

OLD = json.loads("""{
    "backbone": "resnet18", "weights": "imagenet", "size": 256, "threshold": 0.5,
    "train_split": "train", "val_split": "val", "max_pixels": 200000000, "difficult": "ignore",
    "tune": "head", "epochs": 10, "batch_size": 20, "optim\\u0069ser": "sgd", "learning_rate": 0.01,
    "backbone_rate": 1.0, "momentum": 0.9, "weight_decay": 0.0, "schedule": "constant",
    "warmup": 0.0, "clip": 0.0, "ema": 0.0, "standard\\u0069se": false, "precision": "float32",
    "loss": "bce", "class_weight": 1.0, "gamma_positive": 1.0, "gamma_negative": 4.0,
    "margin": 0.05, "keep": "last", "patience": null, "thresholds": "fixed", "calibrate": false,
    "crop_scale": 1.0, "flip": 0.0, "jitter": 0.0
}""")
"""What the first version wrote of a training with the defaults."""


def test_the_keys_are_those_of_the_first_version() -> None:
    """Names, order and types of what config.json has of a training's settings."""
    found = recorded_settings(TrainConfig())
    assert json.dumps(found) == json.dumps(OLD)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, None),
        ({"optimizer": "adamw"}, r"'sgd' and is 'adamw'"),
        ({"standardize": True}, r"False and is True"),
    ],
)
def test_a_run_of_the_first_version_is_resumed(
    changes: dict[str, Any], difference: str | None, tmp_path: Path
) -> None:
    """With the same settings and no others, whatever the options are called now."""
    (tmp_path / "config.json").write_text(json.dumps({**OLD, "seed": 0, "threads": 2}))
    settings = recorded_settings(build(TrainConfig, changes))
    if difference is None:
        check_same(tmp_path, settings)
        return
    with pytest.raises(TrainError, match=difference):
        check_same(tmp_path, settings)
