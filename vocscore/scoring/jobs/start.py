"""Scores as the options say: everything in this process, or one job's share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.scoring.output.mirrored import refresh

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.config.scoring import ScoreConfig
    from vocscore.scoring.score_report import ScoreReport
    from vocscore.scoring.scoring import Progress


def start(
    source: str | Path,
    output: Path,
    config: ScoreConfig,
    *,
    checkpoint: Path,
    command: str | None = None,
    progress: Progress | None = None,
    listing: Callable[[int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
    on_share: Callable[[str], None] | None = None,
    may_spawn: bool = False,
) -> ScoreReport:
    """Score; the arguments are those of `run.score` and `job.score_share`, as are the errors."""
    refresh(output)
    if config.jobs.units is None:
        from vocscore.scoring.run import score

        return score(
            source,
            output,
            config,
            checkpoint=checkpoint,
            command=command,
            progress=progress,
            listing=listing,
            on_stage=on_stage,
            may_spawn=may_spawn,
        )
    from vocscore.scoring.jobs.job import score_share

    return score_share(
        source,
        output,
        config,
        checkpoint=checkpoint,
        command=command,
        progress=progress,
        listing=listing,
        on_stage=on_stage,
        on_share=on_share,
    )
