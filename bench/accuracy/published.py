"""The figures of the experiment that the project comes from.

It gave a column F1, too, which repeats its column of recall digit for digit. No definition of F1
gives that with these precisions, so the column is taken for a slip and left out.
"""

from __future__ import annotations

from typing import Final

COMPARED: Final = ("iou", "precision", "recall")

PUBLISHED: Final = {
    "alexnet": {"iou": 0.579, "precision": 0.698, "recall": 0.626},
    "resnet18": {"iou": 0.687, "precision": 0.808, "recall": 0.722},
    "googlenet": {"iou": 0.596, "precision": 0.719, "recall": 0.613},
}
"""Backbone -> figure, on VOC 2007: frozen backbones, 10 epochs, batch 20, SGD 0.01 with momentum
0.9, 256x256, threshold 0.5."""

IMAGES: Final = {"train": 5011, "val": 4952}
"""VOC 2007's trainval and test: with these the images are those of the publication."""
