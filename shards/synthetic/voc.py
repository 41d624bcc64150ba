"""Draws a PASCAL VOC tree: images, annotations and lists, for the demo, tests and benchmarks.

Nothing is downloaded. The 20 classes can be learned without pretrained weights (`appearance.py`);
images may have several classes, and some instances are 'difficult'.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from shards.synthetic.appearance import LOOKS
from shards.synthetic.scene import Thing, draw_scene

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_CLASSES = tuple(LOOKS)
_CLASSES_PER_IMAGE = (0.58, 0.27, 0.10, 0.05)
"""Probabilities of 1, 2, 3 and 4 ordinary classes; 1.6 on average."""
_PERSON_WEIGHT = 5.0
"""Weight of 'person' relative to any other class."""
_DIFFICULT = 0.15
"""Probability that an image has a difficult instance."""
_QUALITY = 90


@dataclass(frozen=True)
class _Plan:
    """The contents of one image, determined before anything is drawn."""

    key: str
    split: str
    present: tuple[str, ...]
    difficult: str | None


def draw_voc(
    root: Path,
    *,
    images: int,
    seed: int = 0,
    width: int = 160,
    height: int = 120,
    lists: bool = True,
) -> Path:
    """Draw a VOC tree: `JPEGImages`, `Annotations` and, with `lists`, `ImageSets/Main`.

    About half of the images are in the list 'train', a third in 'val', the rest in 'test'. With
    60 or more images, every class is present in both train and val. The same arguments give the
    same bytes (with the same versions of NumPy and Pillow).

    Args:
        root: the folder to draw into; created if missing.
        images: number of images.
        seed: seed of the set.
        width: pixels.
        height: pixels.
        lists: write the lists of `ImageSets/Main`.

    Returns:
        `root`.

    Source: VOC2012 devkit for the layout; in `<class>_<split>.txt` 1 means present, -1 absent and
    0 only difficult instances.
    """
    for folder in ("JPEGImages", "Annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    plans = _plan(images, seed=seed)
    for number, plan in enumerate(plans):
        rng = np.random.default_rng((seed, 1, number))
        image, things = draw_scene(
            plan.present, plan.difficult, rng=rng, width=width, height=height
        )
        (root / "JPEGImages" / f"{plan.key}.jpg").write_bytes(_jpeg(image, quality=_QUALITY))
        annotation = _annotation(plan.key, things, folder=root.name, width=width, height=height)
        (root / "Annotations" / f"{plan.key}.xml").write_text(annotation, encoding="utf-8")
    if lists:
        _write_lists(root / "ImageSets" / "Main", plans)
    return root


def draw_photo(width: int = 500, height: int = 375, *, seed: int = 0, quality: int = 95) -> bytes:
    """Draw one JPEG (4:2:0) that takes as long to decode as a photograph.

    Surfaces with hard edges, shaded with a spectrum that falls with frequency as in natural
    scenes, detailed in some places and smooth in others, with sensor noise. With the defaults it
    has about 88 KB, the mean of VOC.

    Args:
        width: pixels.
        height: pixels.
        seed: seed of the image.
        quality: JPEG quality, 1 to 95.

    Returns:
        The bytes of the JPEG.

    Source: Field (1987), "Relations between the statistics of natural images and the response
    properties of cortical cells": amplitude falls as 1/frequency.
    """
    rng = np.random.default_rng((seed, 2))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    surfaces = np.zeros((height, width, 3))
    for _ in range(8):
        across, down, offset = rng.normal(0, (1, 1, 0.4))
        surfaces[across * x + down * y > offset] += rng.normal(0, 20) + rng.normal(0, 8, 3)
    busy = np.exp(0.7 * _cloud(rng, width=width, height=height, slope=1.5))
    light = 26 * _cloud(rng, width=width, height=height, slope=1.5)
    light += rng.uniform(3, 9) * busy * _cloud(rng, width=width, height=height, slope=0.7)
    light += rng.normal(0, 1.2, light.shape)
    tint = [10 * _cloud(rng, width=width, height=height, slope=1.5) for _ in range(3)]
    pixels = 118 + surfaces - surfaces.mean() + light[..., None] + np.stack(tint, axis=-1)
    return _jpeg(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), quality=quality)


def _cloud(
    rng: np.random.Generator, *, width: int, height: int, slope: float
) -> NDArray[np.float64]:
    """Noise of amplitude 1/frequency**slope; float64 (height, width), mean 0, std 1."""
    down, across = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    frequency = np.maximum(np.hypot(down, across), 1 / max(width, height))
    white = np.fft.rfft2(rng.standard_normal((height, width)))
    white[0, 0] = 0
    plane = np.fft.irfft2(white / frequency**slope, s=(height, width))
    return np.asarray(plane / plane.std())


def _plan(images: int, *, seed: int) -> list[_Plan]:
    """Choose the split and classes of every image.

    The first images of each split cycle through all classes, so that no class is missing from a
    split with at least as many images as classes.
    """
    rng = np.random.default_rng((seed, 0))
    train, val = images - images // 2, images // 3
    splits = ["train"] * train + ["val"] * val + ["test"] * (images - train - val)
    rng.shuffle(splits)
    seen = dict.fromkeys(("train", "val", "test"), 0)
    rounds = {split: rng.permutation(_CLASSES).tolist() for split in seen}
    weights = np.array([_PERSON_WEIGHT if name == "person" else 1.0 for name in _CLASSES])
    plans = []
    for number, split in enumerate(splits):
        order = rng.choice(_CLASSES, size=5, replace=False, p=weights / weights.sum()).tolist()
        if seen[split] < len(_CLASSES):
            first = rounds[split][seen[split]]
            order = [first, *(name for name in order if name != first)]
        seen[split] += 1
        count = 1 + int(rng.choice(4, p=_CLASSES_PER_IMAGE))
        hard = str(rng.choice(order[count - 1 : count + 1])) if rng.random() < _DIFFICULT else None
        key = f"{2007 + 6 * number // images}_{number + 1:06d}"
        plans.append(_Plan(key, split, tuple(order[:count]), hard))
    return plans


def _jpeg(image: Image.Image, *, quality: int) -> bytes:
    """Encode with chroma at half resolution (4:2:0), as cameras do."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()


def _annotation(key: str, things: Sequence[Thing], *, folder: str, width: int, height: int) -> str:
    """The XML of one image; boxes are 1-based with inclusive ends, as in VOC."""
    objects = "".join(
        "\t<object>\n"
        f"\t\t<name>{thing.name}</name>\n"
        "\t\t<pose>Unspecified</pose>\n"
        f"\t\t<truncated>{thing.truncated:d}</truncated>\n"
        f"\t\t<difficult>{thing.difficult:d}</difficult>\n"
        "\t\t<bndbox>\n"
        f"\t\t\t<xmin>{thing.box[0] + 1}</xmin>\n"
        f"\t\t\t<ymin>{thing.box[1] + 1}</ymin>\n"
        f"\t\t\t<xmax>{thing.box[2]}</xmax>\n"
        f"\t\t\t<ymax>{thing.box[3]}</ymax>\n"
        "\t\t</bndbox>\n"
        "\t</object>\n"
        for thing in things
    )
    return (
        "<annotation>\n"
        f"\t<folder>{escape(folder)}</folder>\n"
        f"\t<filename>{key}.jpg</filename>\n"
        "\t<source>\n\t\t<database>drawn</database>\n\t</source>\n"
        "\t<size>\n"
        f"\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n"
        "\t</size>\n"
        "\t<segmented>0</segmented>\n"
        f"{objects}"
        "</annotation>\n"
    )


def _write_lists(folder: Path, plans: Sequence[_Plan]) -> None:
    """Write `<split>.txt` and `<class>_<split>.txt` for train, val, trainval and test."""
    folder.mkdir(parents=True, exist_ok=True)
    members: Mapping[str, tuple[str, ...]] = {
        "train": ("train",),
        "val": ("val",),
        "trainval": ("train", "val"),
        "test": ("test",),
    }
    for split, parts in members.items():
        chosen = [plan for plan in plans if plan.split in parts]
        lines = "".join(f"{plan.key}\n" for plan in chosen)
        (folder / f"{split}.txt").write_text(lines, encoding="ascii")
        for name in _CLASSES:
            lines = "".join(f"{plan.key} {_mark(plan, name):2d}\n" for plan in chosen)
            (folder / f"{name}_{split}.txt").write_text(lines, encoding="ascii")


def _mark(plan: _Plan, name: str) -> int:
    """The value of a class in VOC's lists: 1 present, 0 only difficult, -1 absent."""
    if name in plan.present:
        return 1
    return 0 if name == plan.difficult else -1
