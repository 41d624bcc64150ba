"""The options of `vocscore eval`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from vocscore.config.option import Group, option


@dataclass(frozen=True, kw_only=True)
class JudgedConfig(Group):
    """Which images figures are made of."""

    title: ClassVar[str] = "Images"

    split: str | None = option(
        None,
        help="Judge these splits, or all that were scored, images that the model was trained on "
        "included; how many these are is said.",
        metavar="NAME[,NAME]|all",
        unset="every image that was scored and not trained on",
    )
    model: Path | None = option(
        None,
        help="The run whose model made PREDICTIONS: it says what was trained on.",
        metavar="RUN",
        unset="the record beside PREDICTIONS says it",
        flag="-m/--model",
    )


@dataclass(frozen=True, kw_only=True)
class MetricsConfig(Group):
    """What counts as predicted, and what as present."""

    title: ClassVar[str] = "Metrics"

    threshold: float | None = option(
        None,
        help="Count a class as predicted from this probability on, in place of the labels that "
        "'score' wrote, which go by the thresholds of the model. Average precision needs no "
        "threshold.",
        metavar="PROBABILITY",
        unset="the labels in PREDICTIONS",
        minimum=0,
        maximum=1,
    )
    difficult: str = option(
        "ignore",
        help="How to treat a class of which an image shows only instances marked 'difficult'. "
        "VOC's own figures ignore it; other papers count it as present or as absent, and their "
        "figures can be compared only with figures made the same way.",
        choices=("ignore", "positive", "negative"),
    )


@dataclass(frozen=True, kw_only=True)
class BootstrapConfig(Group):
    """How the intervals of the figures are estimated."""

    title: ClassVar[str] = "Confidence intervals"

    resamples: int = option(
        1000,
        help="Resample the images this often, with replacement, for the interval in which 95% of "
        "the figures then lie (bootstrap). 0 leaves the intervals out.",
        metavar="N",
        minimum=0,
    )
    seed: int = option(
        0, help="Of the resamples; the same seed gives the same intervals.", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """Everything about an evaluation but the predictions and the labels."""

    judged: JudgedConfig = field(default_factory=JudgedConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
