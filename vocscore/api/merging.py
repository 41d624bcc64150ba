"""Merges what jobs have scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.api.checks import output_place
from vocscore.api.progress import opened
from vocscore.api.settings import settings, takes
from vocscore.config.groups import build
from vocscore.config.jobs import MergeConfig

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from vocscore.api.keywords import MergeKeywords
    from vocscore.api.progress import Progress
    from vocscore.config.option import Group
    from vocscore.scoring.score_report import ScoreReport

    PathLike = str | os.PathLike[str]


@takes(MergeConfig)
def merge(
    output: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[MergeKeywords],
) -> ScoreReport:
    """Write the predictions that jobs with `units` have scored, as `vocscore merge` does.

    Args:
        output: as the jobs named it.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The numbers of images and errors. An output that was merged before is reported as complete.

    Raises:
        Error: units are missing (`UnfinishedError`), no job has begun, or the output cannot be
            written.
    """
    from vocscore.scoring.jobs.merge import merge as run

    config = build(MergeConfig, settings(keywords, options, MergeConfig))
    out = output_place("output", output)
    with opened("merge", progress) as shown:
        return run(out, config, on_stage=shown.stage)
