"""The options of scoring by several processes, and of `vocscore merge`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from vocscore.config.option import Group, option
from vocscore.errors import OptionError

AUTO: Final = "auto"
ANY: Final = "any"
_SHARE: Final = re.compile(r"([1-9]\d{0,8})/([1-9]\d{0,8})")


@dataclass(frozen=True, kw_only=True)
class JobsConfig(Group):
    """Which share of the work this process does."""

    title: ClassVar[str] = "Jobs"

    units: str | None = option(
        None,
        help="Score only a share of the units, as one of several jobs that are not connected, but "
        "all reach the folder of FILE. 3/16: the third of 16 "
        "jobs. auto: as SLURM, Kubernetes or AWS Batch number this job. any: whatever no job has "
        "scored yet, until nothing is left. The last step is 'vocscore merge FILE'.",
        metavar="I/N|auto|any",
        unset="all, in this process, and then the output is written",
    )

    def __post_init__(self) -> None:
        """Check the share."""
        super().__post_init__()
        if self.units in (None, AUTO, ANY):
            return
        found = _SHARE.fullmatch(str(self.units))
        if found is None or int(found[1]) > int(found[2]):
            raise OptionError(
                f"`units={self.units!r}`: name a share that counts from 1, such as 3/16, or auto "
                "or any."
            )


@dataclass(frozen=True, kw_only=True)
class MergedConfig(Group):
    """How the parts of jobs become the output."""

    title: ClassVar[str] = "Output"

    overwrite: bool = option(False, help="Replace OUT.")


@dataclass(frozen=True, kw_only=True)
class JobLimitsConfig(Group):
    """How bad inputs are handled, in addition to their error rows."""

    title: ClassVar[str] = "Bad inputs"

    max_bad: float | None = option(
        None,
        help="Do not write OUT, and exit with code 3, if more than this share of the inputs is "
        "bad. The parts are kept.",
        metavar="FRACTION",
        unset="any",
        minimum=0,
        maximum=1,
    )
    quarantine: Path | None = option(
        None,
        help="Copy every bad input to DIR, with its relative path, and write DIR/quarantine.csv: "
        "path, reason, detail, copy. The source has to be reachable from here.",
        metavar="DIR",
    )


@dataclass(frozen=True, kw_only=True)
class MergeConfig:
    """All settings of merging."""

    output: MergedConfig = field(default_factory=MergedConfig)
    limits: JobLimitsConfig = field(default_factory=JobLimitsConfig)
