"""The commands about finished predictions as functions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shards.paths import shown as shown_name
from vocscore.api.checks import path, place, predictions_place, results_place
from vocscore.api.progress import opened
from vocscore.api.settings import settings, takes
from vocscore.config.comparing import CompareConfig
from vocscore.config.evaluating import EvalConfig
from vocscore.config.groups import build
from vocscore.config.relabeling import RelabelConfig
from vocscore.config.reporting import ReportConfig
from vocscore.config.viewing import ServerConfig, SubjectConfig
from vocscore.errors import EvalError, InfoError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from vocscore.api.evaluation import Evaluation
    from vocscore.api.info import Info
    from vocscore.api.keywords import (
        CompareKeywords,
        EvalKeywords,
        RelabelKeywords,
        ReportKeywords,
        ViewKeywords,
    )
    from vocscore.api.progress import Progress
    from vocscore.comparing import CompareReport
    from vocscore.config.option import Group
    from vocscore.reporting.report import WrittenReport
    from vocscore.scoring.relabel import RelabelReport
    from vocscore.view.server import PageServer

    PathLike = str | os.PathLike[str]


@takes(EvalConfig)
def evaluate(
    predictions: PathLike,
    shards: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    **keywords: Unpack[EvalKeywords],
) -> Evaluation:
    """Compute the metrics of predictions, as `vocscore eval` does.

    Args:
        predictions: the output of `score`, with all probabilities.
        shards: the packed dataset with the labels.
        options: groups of options, which set all of their options; keywords take precedence.
        **keywords: every option of the command.

    Returns:
        Every metric, with intervals; `print` shows the table of `vocscore eval`.

    Raises:
        Error: predictions and labels cannot be compared.
    """
    from vocscore.api.evaluation import Evaluation
    from vocscore.evaluation.evaluate import evaluate as run

    config = build(EvalConfig, settings(keywords, options, EvalConfig))
    file, labeled = predictions_place("predictions", predictions), place("shards", shards)
    try:
        report = run(
            file,
            labeled,
            split=config.judged.split,
            model=config.judged.model,
            threshold=config.metrics.threshold,
            difficult=config.metrics.difficult,
            resamples=config.bootstrap.resamples,
            seed=config.bootstrap.seed,
        )
    except OSError as error:
        where = file if error.filename is None else os.fsdecode(error.filename)
        raise EvalError(
            f"{shown_name(str(where))}: {error.strerror or error}. Name what 'vocscore score' "
            "wrote, and the shards with the labels."
        ) from error
    return Evaluation.of(report)


def info(target: PathLike) -> Info:
    """Find out what a file or folder is, and what it was made from, as `vocscore info` does.

    Args:
        target: predictions, finished or not, or their record; a run; shards; an exported model.

    Returns:
        Its facts; `print` shows them as text.

    Raises:
        Error: it is nothing that vocscore writes, or damaged.
    """
    from vocscore.api.info import read_info

    where = results_place("target", target)
    try:
        return read_info(where)
    except OSError as error:
        raise InfoError(f"{shown_name(str(where))}: {error.strerror or error}.") from error


@takes(CompareConfig)
def compare(
    first: PathLike,
    second: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[CompareKeywords],
) -> CompareReport:
    """Compare two predictions of the same images, or two runs, as `vocscore compare` does.

    Args:
        first: what `score` wrote, or a folder that `train` wrote.
        second: the same kind.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        What changed; `print` shows the text of the command.

    Raises:
        Error: they cannot be compared.
    """
    from vocscore.comparing import compare as run

    config = build(CompareConfig, settings(keywords, options, CompareConfig))
    one, other = results_place("first", first), results_place("second", second)
    with opened("compare", progress) as shown:
        return run(one, other, config, on_stage=shown.stage)


@takes(RelabelConfig)
def relabel(
    predictions: PathLike,
    output: PathLike,
    *,
    thresholds_file: PathLike,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[RelabelKeywords],
) -> RelabelReport:
    """Decide labels with other thresholds, without scoring again, as `vocscore relabel` does.

    Args:
        predictions: what `score` wrote, with all probabilities.
        output: to be written; the suffix selects the format.
        thresholds_file: JSON, class to threshold.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        How many decisions changed.

    Raises:
        Error: the labels cannot be decided, or the output exists.
    """
    from vocscore.scoring.relabel import relabel as run

    config = build(RelabelConfig, settings(keywords, options, RelabelConfig))
    source, out = predictions_place("predictions", predictions), path("output", output)
    file = path("thresholds_file", thresholds_file, what="file")
    with opened("relabel", progress) as shown:
        return run(
            source,
            out,
            thresholds_file=file,
            overwrite=config.overwrite,
            on_stage=shown.stage,
            progress=shown,
        )


@takes(SubjectConfig, ServerConfig)
def view(
    predictions: PathLike,
    second: PathLike | None = None,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[ViewKeywords],
) -> PageServer:
    """Show predictions in a browser, as `vocscore view` does.

    The page is served in a thread until it is closed; a process has one at a time.

    Args:
        predictions: what `score` wrote or is writing.
        second: predictions of the same images, to be compared.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The page: `address`, `wait()` until Ctrl-C, `close()`; also a context manager.

    Raises:
        Error: the predictions cannot be shown, NiceGUI is not installed, or the port is in use.
    """
    import webbrowser

    from vocscore.view.opening import open_subjects
    from vocscore.view.server import PageServer, has_display, require_nicegui

    given = settings(keywords, options, SubjectConfig, ServerConfig)
    data, server = build(SubjectConfig, given), build(ServerConfig, given)
    require_nicegui()
    named = [predictions] if second is None else [predictions, second]
    files = [predictions_place("predictions", one) for one in named]
    with opened("view", progress) as shown:
        subjects = open_subjects(
            files,
            labels=data.labels,
            images=data.images,
            on_stage=shown.stage,
            on_rows=shown.listing,
        )
    page = PageServer(subjects, host=server.host, port=server.port)
    if server.open and has_display():
        webbrowser.open(page.address)
    return page


@takes(ReportConfig)
def report(
    predictions: PathLike,
    output: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[ReportKeywords],
) -> WrittenReport:
    """Write one HTML file about predictions, as `vocscore report` does.

    Args:
        predictions: what `score` wrote or is writing.
        output: an .html file.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        What is in the file.

    Raises:
        Error: the predictions or the labels cannot be used, or the output exists or cannot be
            written.
    """
    from vocscore.reporting.report import report as write

    config = build(ReportConfig, settings(keywords, options, ReportConfig))
    source, out = predictions_place("predictions", predictions), path("output", output, what="file")
    with opened("report", progress) as shown:
        return write(
            source,
            out,
            config,
            on_stage=shown.stage,
            on_rows=shown.listing,
            progress=shown,
        )
