"""Compares two runs by what they recorded: validation figures and settings."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shards.files import read_regular
from vocscore.errors import EvalError
from vocscore.evaluation.metrics import plain
from vocscore.records.keys import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FILES: Final = ("config.json", "metrics.json")
_FIGURES: Final = ("iou", "precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two trainings.

    Attributes:
        settings: name of each setting that differs -> its two values.
        same_images: whether both were validated on the same shards and split.
        figures: name of each figure of the validation split -> its two values; nan if undefined.
        classes: class -> its two average precisions; nan if undefined or missing.
    """

    settings: Mapping[str, tuple[Any, Any]]
    same_images: bool
    figures: Mapping[str, tuple[float, float]]
    classes: Mapping[str, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """Return plain values; None for nan."""
        return {
            "settings": {name: list(pair) for name, pair in self.settings.items()},
            "same_validation_images": self.same_images,
            "figures": {name: _pair(*pair) for name, pair in self.figures.items()},
            "classes": {name: _pair(*pair) for name, pair in self.classes.items()},
        }


def _pair(first: float, second: float) -> dict[str, float | None]:
    values = {"first": first, "second": second, "difference": second - first}
    return {name: plain(value) for name, value in values.items()}


def is_run(folder: Path) -> bool:
    """Whether a path is a folder of a finished training."""
    return all((folder / name).is_file() for name in FILES)


def compare_runs(first: Path, second: Path) -> RunComparison:
    """Compare two runs.

    Args:
        first: a folder that `vocscore train` wrote.
        second: another one.

    Raises:
        EvalError: a file of a run is missing or damaged.
    """
    configs = [_read(run / "config.json") for run in (first, second)]
    metrics = [_read(run / "metrics.json") for run in (first, second)]
    keys = list(dict.fromkeys([*configs[0], *configs[1]]))
    settings = {
        shown(name): (configs[0].get(name), configs[1].get(name))
        for name in keys
        if name != "packed" and configs[0].get(name) != configs[1].get(name)
    }
    try:
        vals = [one["val"] for one in metrics]
        figures = {name: _two(_figure, vals, name) for name in _names(vals[0])}
        named = dict.fromkeys([*vals[0]["classes"], *vals[1]["classes"]])
        classes = {name: _two(_of_class, vals, name) for name in named}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise EvalError(f"{first} or {second}: metrics.json is damaged ({error!r}).") from error
    listings = [(_listing(config), config.get("val_split")) for config in configs]
    return RunComparison(settings, listings[0] == listings[1], figures, classes)


def _listing(config: Mapping[str, Any]) -> Any:
    """What identifies a packed set, however it is sharded; older runs only have its manifest."""
    packed = config.get("packed")
    if isinstance(packed, dict) and "listing" in packed:
        return packed["listing"]
    return config.get("shards_sha256")


def _two(
    figure: Callable[[Mapping[str, Any], str], float], vals: list[Any], name: str
) -> tuple[float, float]:
    return figure(vals[0], name), figure(vals[1], name)


def _names(val: Mapping[str, Any]) -> list[str]:
    averages = [
        f"{average}_{name}" for average in ("samples", "micro", "macro") for name in _FIGURES
    ]
    return ["mean_average_precision", *averages, *(["loss"] if "loss" in val else [])]


def _figure(val: Mapping[str, Any], name: str) -> float:
    average, _, ratio = name.partition("_")
    if ratio in _FIGURES:
        return _number(val[average][ratio])
    return _number(val.get(name))


def _of_class(val: Mapping[str, Any], name: str) -> float:
    return _number(val["classes"].get(name, {}).get("average_precision"))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_regular(file))
    except (OSError, ValueError) as error:
        raise EvalError(f"{file}: cannot be read ({error}). Name a finished run.") from error
    if not isinstance(value, dict):
        raise EvalError(f"{file}: not a file of a run. Name a folder that 'vocscore train' wrote.")
    return value
