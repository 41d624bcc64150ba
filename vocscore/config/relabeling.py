"""The options of `vocscore relabel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vocscore.config.option import Group, option


@dataclass(frozen=True, kw_only=True)
class RelabelConfig(Group):
    """How relabeled predictions are written."""

    title: ClassVar[str] = "Output"

    overwrite: bool = option(False, help="Replace NEW.")
