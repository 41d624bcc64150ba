"""`import-model` as a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.api.checks import path
from vocscore.api.progress import opened
from vocscore.api.settings import settings, takes
from vocscore.config.groups import build
from vocscore.config.importing import ImportConfig

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from vocscore.api.keywords import ImportModelKeywords
    from vocscore.api.progress import Progress
    from vocscore.config.option import Group
    from vocscore.importing.job import ImportReport

    PathLike = str | os.PathLike[str]


@takes(ImportConfig)
def import_model(
    file: PathLike,
    output: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[ImportModelKeywords],
) -> ImportReport:
    """Make a run of a model that another program trained, as `vocscore import-model` does.

    Args:
        file: the weights of a whole torchvision or timm classifier, a folder with config.json and
            model.safetensors, or an ONNX file.
        output: the new run, for `score`, `load`, `quantize` and `export`.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The model's card, and the largest difference of a probability from the original's.

    Raises:
        Error: the model cannot be imported, or gives other probabilities; nothing was written.
    """
    from vocscore.importing.job import import_model as run

    config = build(ImportConfig, settings(keywords, options, ImportConfig))
    model, out = path("file", file, what="file or folder"), path("output", output)
    with opened("import-model", progress) as shown:
        return run(model, out, config, on_images=shown, on_stage=shown.stage)
