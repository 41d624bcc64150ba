"""The options of `vocscore eval`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from vocscore.config.option import Group, option


@dataclass(frozen=True, kw_only=True)
class JudgedConfig(Group):
    """Which images are evaluated."""

    title: ClassVar[str] = "Images"

    split: str | None = option(
        None,
        help="Evaluate these splits, or all scored images, including training images of the model; "
        "the output says how many these are.",
        metavar="NAME[,NAME]|all",
        unset="every scored image that was not trained on",
    )
    model: Path | None = option(
        None,
        help="The run whose model made PREDICTIONS: it lists the training images.",
        metavar="RUN",
        unset="from the record beside PREDICTIONS",
        flag="-m/--model",
    )


@dataclass(frozen=True, kw_only=True)
class MetricsConfig(Group):
    """Which classes count as predicted, and which as present."""

    title: ClassVar[str] = "Metrics"

    threshold: float | None = option(
        None,
        help="Count a class as predicted at or above this probability, instead of using the labels "
        "that 'score' wrote with the model's thresholds. Average precision does not use a "
        "threshold.",
        metavar="PROBABILITY",
        unset="the labels in PREDICTIONS",
        minimum=0,
        maximum=1,
    )
    difficult: str = option(
        "ignore",
        help="How to treat a class if all its instances in an image are marked 'difficult'. "
        "VOC's own figures ignore it; some papers count it as present or as absent, and figures "
        "are only comparable with the same choice.",
        choices=("ignore", "positive", "negative"),
    )


@dataclass(frozen=True, kw_only=True)
class BootstrapConfig(Group):
    """How confidence intervals are estimated."""

    title: ClassVar[str] = "Confidence intervals"

    resamples: int = option(
        1000,
        help="Bootstrap resamples of the images for the 95% confidence intervals. 0: no intervals.",
        metavar="N",
        minimum=0,
    )
    seed: int = option(
        0, help="Seed of the resamples; the same seed gives the same intervals.", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """All settings of an evaluation, except the predictions and the labels."""

    judged: JudgedConfig = field(default_factory=JudgedConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
