"""Trainings without what takes most of their time, where that is not the subject of the test."""

from __future__ import annotations

import hashlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

import vocscore.training.features
import vocscore.training.plots
import vocscore.training.run
from shards import atomic
from vocscore.charts.evaluation_charts import STEMS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from vocscore.runtime.base import Runtime

_LARGEST = 50_000_000
"""Parameters: compiled networks of more are not kept in memory."""
_LATE = (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "openvino",
    "sklearn.metrics",
    "torch.distributed",
    "torch.utils.serialization.config",
    "vocscore.cli.train",
    "vocscore.models.checkpoint",
    "vocscore.training.fitting",
    "vocscore.training.follow",
    "vocscore.training.recipes",
    "vocscore.training.train",
)
"""What a training imports when it first needs it."""
_compiled: dict[object, Runtime] = {}


def import_early() -> None:
    """Import what a training needs, for a program that forks: or each child would do it again."""
    for name in _LATE:
        import_module(name)


def skip_charts(patch: pytest.MonkeyPatch) -> None:
    """Write a few bytes in place of each chart: at the same moment, under the same name."""

    def curves(history: Any, folder: Path, **_options: Any) -> None:
        atomic.write(folder / "curves.png", f"{len(history)} epochs".encode())

    def validation_charts(folder: Path, *_arguments: Any, **_options: Any) -> None:
        for stem in STEMS:
            atomic.write(folder / f"{stem}.png", stem.encode())

    patch.setattr(vocscore.training.plots, "curves", curves)
    patch.setattr(vocscore.training.run, "validation_charts", validation_charts)


def share_compiled(patch: pytest.MonkeyPatch) -> None:
    """Compile equal frozen backbones once a process.

    Tests that train with the same seed begin with the same network, bit by bit.
    """
    compile_backbone = vocscore.training.features.open_backbone

    def shared(backbone: torch.nn.Module, preprocess: Any, **options: Any) -> Runtime:
        if sum(values.numel() for values in backbone.parameters()) > _LARGEST:
            return compile_backbone(backbone, preprocess, **options)
        facts = (repr(backbone), preprocess, *options.items(), torch.get_num_threads())
        key = (*facts, _digest(backbone))
        if key not in _compiled:
            _compiled[key] = compile_backbone(backbone, preprocess, **options)
        return _compiled[key]

    patch.setattr(vocscore.training.features, "open_backbone", shared)


def _digest(module: torch.nn.Module) -> str:
    found = hashlib.sha256()
    for name, values in module.state_dict().items():
        found.update(name.encode() + values.contiguous().numpy().tobytes())
    return found.hexdigest()
