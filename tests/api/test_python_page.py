"""The code of docs/python.md and of the README runs as it stands there."""

from __future__ import annotations

import re
import shutil
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from PIL import Image
from torchvision.models import _api, resnet

ROOT = Path(__file__).parents[2]


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page, in order."""
    return re.findall(
        r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@wraps(resnet.resnet18)
def shallow(*, weights: Any = None, progress: bool = True, **changes: Any) -> resnet.ResNet:
    """ResNet-18 with one block in each stage in place of two."""
    return resnet._resnet(resnet.BasicBlock, [1, 1, 1, 1], weights, progress, **changes)


@pytest.fixture
def place(
    voc_tree: Path, tmp_path: Path, light_training: None, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with the names that the pages use, and weights that torchvision finds.

    The network that the pages name has half of its layers, and trainings draw no charts.
    """
    monkeypatch.setattr(torchvision.models, "resnet18", shallow)
    monkeypatch.setitem(_api.BUILTIN_MODELS, "resnet18", shallow)
    shutil.copytree(voc_tree, tmp_path / "VOCdevkit" / "VOC2012")
    photos = tmp_path / "photos"
    photos.mkdir()
    first, second, *_ = sorted((voc_tree / "JPEGImages").glob("*.jpg"))
    shutil.copy(first, tmp_path / "a.jpg")
    shutil.copy(first, photos)  # under its own name, by which `evaluate` finds its labels
    for folder in (tmp_path, photos):
        Image.open(second).save(folder / "b.png")
    weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(shallow().state_dict(), cache / weights)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_pages_run(place: Path) -> None:
    """Every block, in order, in one program; then the README's five lines on what is there."""
    page, readme = ROOT / "docs" / "python.md", ROOT / "README.md"
    names: dict[str, object] = {}
    assert len(blocks(page)) >= 8
    for code in [*blocks(page), *blocks(readme)]:
        exec(compile(code, "docs/python.md", "exec"), names)
    assert (place / "predictions.csv").read_text().count("\n") == 1 + 2
    losses = names["mean_losses"]
    assert isinstance(losses, list)
    assert losses[-1] < losses[0]
