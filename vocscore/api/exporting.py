"""The commands that write models for other programs or processors, as functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.api.checks import path, run_place
from vocscore.api.progress import opened
from vocscore.api.settings import settings, takes
from vocscore.config.exporting import ExportConfig, QuantizeConfig
from vocscore.config.groups import build

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from vocscore.api.keywords import ExportKeywords, QuantizeKeywords
    from vocscore.api.progress import Progress
    from vocscore.config.option import Group
    from vocscore.exporting.export import ExportReport
    from vocscore.exporting.quantize import QuantizeReport

    PathLike = str | os.PathLike[str]


@takes(QuantizeConfig)
def quantize(
    run: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[QuantizeKeywords],
) -> QuantizeReport:
    """Make the 8-bit form of a model, for `precision="int8"`, as `vocscore quantize` does.

    Args:
        run: a folder that `train` wrote; the 8-bit model is written beside its weights.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The differences from float32.

    Raises:
        Error: it differs too much, or cannot be made; nothing was written.
    """
    from vocscore.exporting.quantize import quantize as make

    config = build(QuantizeConfig, settings(keywords, options, QuantizeConfig))
    folder = run_place("run", run)
    with opened("quantize", progress) as shown:
        return make(folder, config, on_images=shown, on_stage=shown.stage)


@takes(ExportConfig)
def export(
    run: PathLike,
    output: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[ExportKeywords],
) -> ExportReport:
    """Write a model for ONNX Runtime or OpenVINO, as `vocscore export` does.

    Args:
        run: a folder that `train` wrote.
        output: FILE.onnx, or FILE.xml for OpenVINO.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The files, and the largest difference of the new model's probabilities from PyTorch's.

    Raises:
        Error: the model cannot be written, or gives other probabilities; nothing was written.
    """
    from vocscore.exporting.job import export as write

    config = build(ExportConfig, settings(keywords, options, ExportConfig))
    folder, out = run_place("run", run), path("output", output, what="file")
    with opened("export", progress) as shown:
        return write(folder, out, config, on_images=shown, on_stage=shown.stage)
