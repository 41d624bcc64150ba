"""The options of `vocscore report`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from vocscore.config.evaluating import BootstrapConfig
from vocscore.config.option import Group, option
from vocscore.config.viewing import SubjectConfig


@dataclass(frozen=True, kw_only=True)
class ContentsConfig(Group):
    """What a report shows."""

    title: ClassVar[str] = "Report"

    heading: str | None = option(
        None, help="Title of the report.", metavar="TEXT", unset="the name of PREDICTIONS"
    )
    images_per_class: int = option(
        6,
        help="Thumbnails of each kind of mistake per class, the most confident mistakes first; "
        "without labels, of the most probable and of the least certain images. 0: none.",
        metavar="IMAGES",
        minimum=0,
        maximum=100,
    )
    thumbnail_size: int = option(
        192,
        help="Longer side of a thumbnail.",
        metavar="PIXELS",
        minimum=32,
        maximum=1024,
    )
    overwrite: bool = option(False, help="Replace an existing report.")


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """All settings of a report."""

    data: SubjectConfig = field(default_factory=SubjectConfig)
    contents: ContentsConfig = field(default_factory=ContentsConfig)
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
