"""Classifiers as another program leaves them: files of weights, and what the originals compute."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import timm
import torch
import torchvision.models
from click.testing import CliRunner
from PIL import Image

from vocscore.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
    from torch import nn

CLASSES = ("cat", "dog", "bird", "car", "boat")
SIZE = 64
SMALL = ("--size", str(SIZE), "--fit", "squash", "--check-images", "4")
"""Options that make an import quick, with images that are not resized where they have this size."""


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@torch.no_grad()
def varied(model: nn.Module, size: int = SIZE) -> nn.Module:
    """Let the outputs depend on the image, as those of a trained model do."""
    pixels = images(16, size)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics of these images
    logits(model.train(), pixels)
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    last = [module for module in model.modules() if isinstance(module, kinds)][-1]
    seen: list[torch.Tensor] = []
    hook = last.register_forward_hook(lambda _module, _given, found: seen.append(found.clone()))
    logits(model.eval(), pixels)
    hook.remove()
    outputs = seen[0].transpose(0, 1).flatten(1)  # (C, everything else)
    mean, std = outputs.mean(dim=1), outputs.std(dim=1)
    last.weight /= std.view(-1, *[1] * (last.weight.ndim - 1))
    last.bias.copy_((last.bias - mean) / std)
    return model


def torchvision_model(name: str, classes: int = len(CLASSES)) -> nn.Module:
    """As torchvision's users build it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return varied(torchvision.models.get_model(name, weights=None, num_classes=classes))


def timm_folder(folder: Path, name: str, **settings: Any) -> nn.Module:
    """Write a model in timm's form on Hugging Face, and return it."""
    arguments = settings.pop("model_args", {})
    own = {name: settings.pop(name) for name in ("crop_pct",) if name in settings}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = timm.create_model(name, num_classes=len(CLASSES), **arguments)
        model = varied(made, size=made.pretrained_cfg["input_size"][-1])
    kept = {"mean", "std", "input_size", "crop_pct", "interpolation", "crop_mode", "license"}
    config = {
        "architecture": name,
        "num_classes": len(CLASSES),
        "label_names": list(CLASSES),
        "model_args": arguments,
        "pretrained_cfg": {**{k: v for k, v in model.pretrained_cfg.items() if k in kept}, **own},
        **settings,
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    safetensors.torch.save_file(model.state_dict(), folder / "model.safetensors")
    return model


def classes_file(folder: Path, names: tuple[str, ...] = CLASSES) -> Path:
    file = folder / "names.txt"
    file.write_text("\n".join(names), encoding="utf-8")
    return file


def images(number: int = 5, size: int = SIZE) -> np.ndarray:
    """Blocks of color, uint8 (N, S, S, 3)."""
    random = np.random.default_rng(3)
    coarse = random.integers(0, 256, (number, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(size // 4, axis=1).repeat(size // 4, axis=2)


def saved(folder: Path, size: int = SIZE) -> Path:
    """The same as files, without loss."""
    folder.mkdir()
    for number, pixels in enumerate(images(size=size)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@torch.no_grad()
def logits(
    model: nn.Module,
    pixels: np.ndarray,
    *,
    mean: tuple[float, ...] = (0.485, 0.456, 0.406),
    std: tuple[float, ...] = (0.229, 0.224, 0.225),
) -> torch.Tensor:
    """What the original computes, in its own library."""
    scaled = torch.from_numpy(pixels).float() / 255
    normalized = (scaled - torch.tensor(mean)) / torch.tensor(std)
    return model(normalized.permute(0, 3, 1, 2).contiguous())
