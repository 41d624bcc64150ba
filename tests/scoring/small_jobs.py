"""Jobs with --units on 26 small images, and their merge."""

from __future__ import annotations

from tiny_network import make_images

from vocscore.config.groups import build
from vocscore.config.jobs import MergeConfig
from vocscore.config.scoring import ScoreConfig
from vocscore.scoring.jobs.merge import merge
from vocscore.scoring.jobs.start import start

SETTINGS = {
    "loader": "host",
    "device": "cpu",
    "batch_size": 16,
    "unit_size": 6,
    "workers": 2,
    "max_pixels": 10**7,
    "precision": "float32",
    "ceilings": False,
}


def make_source(folder):
    """26 images, two of them bad, in five units."""
    folder.mkdir()
    (folder / "notes.md").write_text("x")
    return make_images(folder, [f"{i:02}.jpg" for i in range(26)], bad={3, 17})


def share(source, output, checkpoint, units, **changes):
    config = build(ScoreConfig, {**SETTINGS, **changes, "units": units})
    return start(source, output, config, checkpoint=checkpoint)


def merged(output, **settings):
    return merge(output, build(MergeConfig, settings))
