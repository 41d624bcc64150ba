"""Reads a state dict of a whole classifier, whose architecture and classes the user names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.errors import OptionError
from vocscore.importing.classifier import Architecture, read_classifier
from vocscore.importing.preprocessing import timm_preprocess, torchvision_preprocess
from vocscore.models.backbones import check_backbone, is_timm

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.importing.imported import Imported, Request
    from vocscore.pipeline.preprocess import Preprocess


def read(file: Path, request: Request) -> Imported:
    """Read a state dict; see `read_classifier`.

    Args:
        file: pickled or safetensors, also inside the checkpoint of a training script.
        request: what the user asks for; the backbone and the classes are needed.

    Raises:
        OptionError: one of them was not given.
        CheckpointError: there is no such backbone.
        ImportModelError, CheckpointError: as `read_classifier`.
    """
    backbone, classes = request.config.model.backbone, request.classes
    if backbone is None:
        raise OptionError(
            f"{file}: weights do not say their architecture. Name it with `backbone`, such as "
            "resnet18 or timm/NAME."
        )
    if classes is None:
        raise OptionError(
            f"{file}: weights do not name their classes. Give `classes=FILE`, one name per line, "
            "in the order of the outputs."
        )
    return read_classifier(
        file, Architecture(backbone, classes, default_preprocess(backbone, request)), request
    )


def default_preprocess(backbone: str, request: Request) -> Preprocess:
    """Return the preprocessing of a classifier's published weights.

    Raises:
        CheckpointError: there is no such classifier.
        ImportModelError: its images are fitted in another way.
    """
    check_backbone(backbone)
    if not is_timm(backbone):
        return torchvision_preprocess(backbone)
    from vocscore.models.timm_models import configuration

    return timm_preprocess(
        configuration(backbone), origin=backbone, asked=request.config.preprocessing
    )
