"""The quantized model of a tiny checkpoint, with figures of a test's choice."""

from __future__ import annotations

import numpy as np

from vocscore.models.checkpoint_files import read_checkpoint
from vocscore.runtime import int8
from vocscore.runtime.load import converted, shape_of


def quantize_tiny(checkpoint, *, largest=0.01, changed=0.001, images=100, preset="performance"):
    """Quantize it with noise, and write it as `vocscore quantize` does."""
    files = read_checkpoint(checkpoint)
    shape = shape_of(files.card, precision="float32", group=32)
    noise = np.random.default_rng(0).integers(
        0, 256, (shape.group, shape.size, shape.size, 3), np.uint8
    )
    graph = int8.quantize(converted(files, files.card, shape=shape), [noise], preset=preset)
    report = {"pictures": images, "largest": largest, "changed": changed}
    int8.write(checkpoint, graph, identity=files.identity, report=report)
    return checkpoint
