"""The options of `vocscore plan`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from vocscore.config.compute import DecodeConfig
from vocscore.config.option import Group, option
from vocscore.config.scoring import (
    InferenceConfig,
    InputsConfig,
    LimitsConfig,
    OutputConfig,
    ScoreConfig,
)


def _price(about: str) -> Any:
    """Declare a price, in any currency."""
    return option(None, help=about, metavar="PRICE", unset="no price", minimum=0)


@dataclass(frozen=True, kw_only=True)
class PlanningConfig(Group):
    """What is planned, how long is measured, and what things cost."""

    title: ClassVar[str] = "Plan"

    processes: int = option(
        1,
        help="Processes that share the run, each with as many cores and GPUs as this one: machines "
        "like this one, or actors of a cluster.",
        metavar="N",
        minimum=1,
    )
    seconds: float = option(
        10.0,
        help="How long scoring is tried. In all, the measurement takes about 15 seconds more.",
        metavar="SECONDS",
        above=0,
    )
    price_per_hour: float | None = _price(
        "Price of one process for an hour (of its machine, or its share of one)."
    )
    price_per_1000_requests: float | None = _price("Price of 1,000 requests to object storage.")
    price_per_gb: float | None = _price("Price of reading 10^9 bytes from object storage.")


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """All settings of a plan, except its source, its model and its output."""

    planning: PlanningConfig = field(default_factory=PlanningConfig)
    inputs: InputsConfig = field(default_factory=InputsConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    compute: InferenceConfig = field(default_factory=InferenceConfig)

    @property
    def scoring(self) -> ScoreConfig:
        """The settings of the run that is planned."""
        return ScoreConfig(
            inputs=self.inputs,
            output=self.output,
            limits=self.limits,
            decode=self.decode,
            compute=self.compute,
        )
