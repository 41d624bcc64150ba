"""The options of charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vocscore.config.option import Group, option


@dataclass(frozen=True, kw_only=True)
class ChartConfig(Group):
    """The charts of `vocscore train` and of `vocscore eval --plots`."""

    title: ClassVar[str] = "Charts"

    chart_format: str = option(
        "png",
        help="File format of the charts. svg: vector graphics, sharp at any size.",
        choices=("png", "svg", "both"),
    )
