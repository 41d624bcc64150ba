"""Trains the heads of a run's folds, and writes its out-of-fold predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vocscore.errors import DivergedError
from vocscore.models.probabilities import probabilities_of
from vocscore.records.keys import stored, stored_loader
from vocscore.scoring.out_of_fold import check_out_of_fold, write_out_of_fold
from vocscore.scoring.output.rows import Rows
from vocscore.training.finetune import in_bf16
from vocscore.training.folds import divide, train_folds
from vocscore.training.head_fits import settled
from vocscore.training.run_folder import OUT_OF_FOLD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vocscore.models.card import ModelCard
    from vocscore.training.features import Decoding, Features
    from vocscore.training.folds import Division
    from vocscore.training.history import TrainReport
    from vocscore.training.job import Job
    from vocscore.training.run import TrainingRun
    from vocscore.training.splits import Splits


def division_of(job: Job, splits: Splits, classes: tuple[str, ...]) -> Division | None:
    """Divide the images into folds, if requested.

    Raises:
        TrainError: there are too few.
        ScoreError: the predictions cannot be written with these classes.
    """
    if job.folds is None:
        return None
    check_out_of_fold(classes)
    job.stage("dividing the images into folds")
    return divide(splits, folds=job.folds, seed=job.config.data.seed)


def finish_with_folds(
    job: Job,
    run: TrainingRun,
    features: Features,
    division: Division,
    decoding: Decoding,
    *,
    steps: Sequence[Callable[[ModelCard], None]],
) -> TrainReport:
    """Train the heads of the folds, then finish the run; `steps` come last.

    Raises:
        DivergedError: a head's loss is NaN or infinite; the run is finished without predictions.
    """
    assert run.so_far.kept is not None
    job.stage(f"training {division.folds} heads, each without one fold")
    try:
        found = train_folds(
            features,
            division,
            replace(job.config, model=settled(job.config.model, run.so_far.kept.weights)),
            epochs=run.so_far.kept.epoch,
        )
    except DivergedError as error:
        run.finish()
        raise DivergedError(
            f"{error} {job.out} holds the checkpoint, without out-of-fold predictions."
        ) from error
    rounded = in_bf16(job.config.optimization.precision, device=decoding.device)
    settings = {
        "precision": "bf16" if rounded else "float32",
        **stored({"loader": stored_loader(type(decoding.loader).__name__)}),
        "device": decoding.device.type,
        "max_pixels": job.config.data.max_pixels,
    }

    def write(card: ModelCard) -> None:
        write_out_of_fold(
            job.out / OUT_OF_FOLD,
            Rows(found.names, probabilities_of(found.logits, temperature=card.temperature), {}),
            card,
            shards=job.shards,
            folds=division.folds,
            settings=settings,
            started=found.started,
            command=job.command,
        )

    lone = tuple(run.card.classes[c] for c in division.lone)
    return replace(run.finish(write, *steps), out_of_fold=job.out / OUT_OF_FOLD, lone=lone)
